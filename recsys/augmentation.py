"""What a recommender may know beyond interactions: features, suggested edges and insertions, not their origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from augrec.artefacts.errors import DataError


@dataclass(frozen=True, eq=False)
class FeatureMatrix:
    """One vector per user or per item, equal rows stored once (a country or a year repeats thousands of times).

    Attributes:
        values: float32 [k, d], the distinct rows.
        index: int64 [n], the row of `values` that belongs to each id.
        mask: bool [n], False where the vector is missing; such ids point to a row of zeros.
    """

    values: np.ndarray
    index: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float32:
            raise DataError(f"features must be float32 [k, d], not {self.values.dtype} {list(self.values.shape)}")
        if self.index.shape != self.mask.shape or self.index.ndim != 1 or self.mask.dtype != np.bool_:
            raise DataError(f"index {list(self.index.shape)} and boolean mask {list(self.mask.shape)} must be [n]")
        if len(self.index) and (self.index.min() < 0 or self.index.max() >= len(self.values)):
            raise DataError(f"the index points outside the {len(self.values)} distinct rows")
        if not np.isfinite(self.values).all():
            bad = int(np.flatnonzero(~np.isfinite(self.values).all(axis=1)[self.index])[0])
            raise DataError("features hold NaN or infinity", where=f"row {bad}", remedy="run the embed stage again")

    @classmethod
    def from_dense(cls, array: np.ndarray, missing: Iterable[int] = ()) -> FeatureMatrix:
        """Stores [n, d] by its distinct rows, in the order of their first appearance.

        Args:
            array: [n, d] of numbers, row = contiguous id.
            missing: the ids without a vector; whatever their rows hold is replaced by zeros.
        """
        dense = np.array(array, dtype=np.float32, order="C")
        if dense.ndim != 2:
            raise DataError(f"features must be [n, d], not {list(dense.shape)}")
        absent = np.fromiter(missing, dtype=np.int64)
        if len(absent) and (absent.min() < 0 or absent.max() >= len(dense)):
            raise DataError(f"a missing row lies outside the {len(dense)} rows")
        mask = np.ones(len(dense), dtype=np.bool_)
        mask[absent] = False
        dense[absent] = 0.0
        seen: dict[bytes, int] = {}
        index = np.fromiter((seen.setdefault(row.tobytes(), len(seen)) for row in dense), np.int64, len(dense))
        first = np.zeros(len(seen), dtype=np.int64)
        first[index[::-1]] = np.arange(len(dense))[::-1]
        return cls(dense[first], index, mask)

    def followed_by(self, count: int, rows: np.ndarray | None = None, known: np.ndarray | None = None) -> FeatureMatrix:
        """The matrix with `count` more ids behind the last one, whose vectors are missing unless they are given.

        Args:
            count: of the new ids.
            rows: float32 [count, d].
            known: bool [count], which of `rows` are there; all unless given.
        """
        if rows is None:
            rows, known = np.zeros((count, self.dim), dtype=np.float32), np.zeros(count, dtype=np.bool_)
        mask = np.ones(count, dtype=np.bool_) if known is None else known
        added = np.concatenate([np.zeros((1, self.dim), dtype=np.float32), rows[mask]]).astype(np.float32)
        places = len(self.values) + np.where(mask, np.cumsum(mask), 0)
        return FeatureMatrix(
            np.concatenate([self.values, added]),
            np.concatenate([self.index, places]).astype(np.int64),
            np.concatenate([self.mask, mask]),
        )

    @property
    def rows(self) -> int:
        """The number of ids, n."""
        return len(self.index)

    @property
    def dim(self) -> int:
        """The length of a vector, d."""
        return self.values.shape[1]

    def dense(self) -> np.ndarray:
        """float32 [n, d]; missing rows are zero."""
        return self.values[self.index]


@dataclass(frozen=True, eq=False)
class Edges:
    """Suggested preferences: each `user` is said to prefer `positive` over `negative`.

    Attributes:
        user, positive, negative: int64 [m] contiguous ids.
        weight: float32 [m], non-negative; how much the triplet counts in a loss against an observed one (1).
    """

    user: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    weight: np.ndarray

    def __post_init__(self) -> None:
        ids = (self.user, self.positive, self.negative)
        if any(part.shape != self.weight.shape or part.ndim != 1 for part in ids):
            raise DataError(f"edges must be four arrays of one length, not {[part.shape for part in ids]}")
        if any(part.dtype != np.int64 for part in ids):
            raise DataError(f"edge ids must be int64, not {[str(part.dtype) for part in ids]}")
        if not (np.isfinite(self.weight).all() and (self.weight >= 0).all()):
            raise DataError("an edge weight is negative or not finite")
        if len(self.user) and min(part.min() for part in ids) < 0:
            raise DataError("an edge holds a negative id", remedy="drop failed records before building edges")

    @classmethod
    def from_arrays(
        cls, user: np.ndarray, positive: np.ndarray, negative: np.ndarray, weight: np.ndarray | None = None
    ) -> Edges:
        """Edges of any integer type; without `weight` every edge counts 1."""
        user, positive, negative = (np.asarray(part, dtype=np.int64) for part in (user, positive, negative))
        weight = np.ones(len(user)) if weight is None else weight
        return cls(user, positive, negative, np.asarray(weight, dtype=np.float32))

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, eq=False)
class Insertions:
    """Suggested interactions in sequences: each `user` is said to have taken `item` between certain training items.

    Attributes:
        user, item: int64 [m] contiguous ids.
        position: int64 [m], how many of the user's training items, oldest first, come before the inserted one: 0 puts
            it first, the number of training items last. Insertions at one place stand in the order of the rows.
    """

    user: np.ndarray
    item: np.ndarray
    position: np.ndarray

    def __post_init__(self) -> None:
        columns = (self.user, self.item, self.position)
        if any(part.shape != self.user.shape or part.ndim != 1 for part in columns):
            raise DataError(f"insertions must be three arrays of one length, not {[part.shape for part in columns]}")
        if any(part.dtype != np.int64 for part in columns):
            raise DataError(f"insertions must be int64, not {[str(part.dtype) for part in columns]}")
        if len(self.user) and min(part.min() for part in columns) < 0:
            raise DataError(
                "an insertion holds a negative id or position", remedy="drop failed records before building insertions"
            )

    @classmethod
    def from_rows(cls, rows: np.ndarray) -> Insertions:
        """Insertions from rows [m, 3] of user, item and position, of any integer type."""
        columns = np.asarray(rows, dtype=np.int64).reshape(-1, 3).T
        return cls(*(np.ascontiguousarray(column) for column in columns))

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, eq=False)
class AttributeNodes:
    """Values of attributes, such as a genre or a reason, and who has which.

    Attributes:
        names: (attribute, value), by node.
        items: int64 [k, 2] of (item, node), unique.
        users: int64 [l, 2] of (user, node), unique: what is said of users themselves.
    """

    names: tuple[tuple[str, str], ...]
    items: np.ndarray
    users: np.ndarray

    def __post_init__(self) -> None:
        for pairs in (self.items, self.users):
            if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype != np.int64:
                raise DataError(f"attribute pairs must be int64 [m, 2], not {pairs.dtype} {list(pairs.shape)}")
            if len(pairs) and (pairs.min() < 0 or pairs[:, 1].max() >= len(self.names)):
                raise DataError(f"an attribute pair names none of the {len(self.names)} values, or nobody")


@dataclass(frozen=True, eq=False)
class SideInformation:
    """Everything a model may use beside the interactions; each part is optional.

    Attributes:
        edges: suggested preferences.
        user: user features by name, e.g. "profile".
        item: item modality features by name, e.g. "text", "image".
        attributes: item attribute features by name, e.g. "title", "genres", "director".
        nodes: values of attributes as they are written, not as vectors.
        drawn: whether a part was drawn from the training seed, so that another seed is given something else.
        insertions: suggested interactions of training sequences.
    """

    edges: Edges | None = None
    user: Mapping[str, FeatureMatrix] = field(default_factory=dict)
    item: Mapping[str, FeatureMatrix] = field(default_factory=dict)
    attributes: Mapping[str, FeatureMatrix] = field(default_factory=dict)
    nodes: AttributeNodes | None = None
    drawn: bool = False
    insertions: Insertions | None = None

    def check(self, n_users: int, n_items: int) -> None:
        """Raises `DataError` where a matrix does not have one row per user or item, or a value belongs to nobody.

        Edges with item ids beyond the catalogue are allowed (published files hold some) and are never drawn; insertions
        are of known users and items.
        """
        groups = (("user", self.user, n_users), ("item", self.item, n_items), ("attributes", self.attributes, n_items))
        for group, matrices, expected in groups:
            for name, matrix in matrices.items():
                if matrix.rows != expected:
                    raise DataError(
                        f"{matrix.rows} rows of features for {expected} ids",
                        where=f"{group}.{name}",
                        remedy="run the embed stage on this run's dataset",
                    )
        for group, size in (("user", n_users), ("item", n_items)) if self.insertions else ():
            ids = getattr(self.insertions, group)
            if len(ids) and ids.max() >= size:
                raise DataError(
                    f"an insertion names a {group} beyond the {size} there are",
                    where=f"{group} {ids.max()}",
                    remedy="run the augment stage on this run's dataset",
                )
        for group, size in (("users", n_users), ("items", n_items)) if self.nodes else ():
            owners = getattr(self.nodes, group)[:, 0]
            if len(owners) and owners.max() >= size:
                raise DataError(
                    f"attributes of {group} beyond the {size} there are",
                    where=f"{group[:-1]} {owners.max()}",
                    remedy="run the augment stage on this run's dataset",
                )
