"""A prepared data set in memory: contiguous ids, three disjoint splits, side information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from augrec.artefacts.files import read_json
from augrec.artefacts.interactions import (
    DETAILS,
    PREPARE_AGAIN,
    SPLITS,
    UserItems,
    by_time,
    check_pairs,
    read_detail,
    read_interactions,
)
from augrec.artefacts.run_folder import DatasetFolder
from augrec.artefacts.side_tables import read_side_table
from augrec.artefacts.sorted_rows import order_by
from recsys.data.sealed import Sealed, SealedSplit

OPEN = tuple(split for split in SPLITS if split != "test")
"""The splits that a choice may rest on."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions by split and the tables of items and users.

    `train`, `valid` and `test` are int64 [m, 2] (user, item), unique, sorted by (user, item). Row i of `items` and
    `users` describes the item or user with contiguous id i. Ratings, times, places and texts are aligned with the pairs
    of their split; those of a folder are read when they are first asked for.

    Data may be `sealed`: who then asks for the test interactions, or for anything about them, is told `SealedSplit`.
    All that chooses (a training until its evaluation, a search, base, candidates, weights) is given such data.
    """

    n_users: int
    n_items: int
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    items: pa.Table
    users: pa.Table
    meta: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    """Where ratings, times and texts lie; None where `known` holds them."""
    known: Mapping[tuple[str, str], pa.Array] = field(default_factory=dict)
    """Ratings, times, texts and places by (column, split), where there is no folder."""

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(self.pairs(split))} {split}" for split in self.splits)
        name = self.meta.get("name", "data")
        return f"<{name}: {self.n_users} users, {self.n_items} items, interactions: {sizes}>"

    @classmethod
    def load(cls, folder: Path, *, test: bool = True) -> Dataset:
        """Reads and checks a `dataset/` folder.

        Args:
            folder: the folder.
            test: whether the test interactions are read; else the data are sealed.

        Raises:
            DataError: a file is missing or broken, ids are not contiguous, an interaction occurs twice (also across
                splits) or names an id that has no row; names the file and its first offending row (from 0).
        """
        files = DatasetFolder(folder)
        meta = read_json(files.about, remedy=PREPARE_AGAIN)
        items, users = read_side_table(files.items, "item"), read_side_table(files.users, "user")
        read = read_interactions(files.interactions, users.num_rows, items.num_rows, splits=SPLITS if test else OPEN)
        held_back = read.of("test") if test else _sealed()
        sizes = users.num_rows, items.num_rows
        return cls(*sizes, read.of("train"), read.of("valid"), held_back, items, users, meta, folder)

    @classmethod
    def from_arrays(
        cls,
        n_users: int,
        n_items: int,
        train: np.ndarray,
        valid: np.ndarray,
        test: np.ndarray,
        *,
        ratings: Sequence[np.ndarray] | None = None,
        timestamps: Sequence[np.ndarray] | None = None,
        texts: Sequence[Sequence[str | None]] | None = None,
        places: Sequence[np.ndarray] | None = None,
        items: pa.Table | None = None,
        users: pa.Table | None = None,
        meta: dict[str, Any] | None = None,
    ) -> Dataset:
        """Builds a data set from pairs [m, 2] in any order, checked as `load` checks files.

        Without `items` and `users` the tables hold ids only. `ratings`, `timestamps`, `texts` and `places` hold one
        sequence per split (train, valid, test), aligned with the pairs as they are handed in.
        """
        parts = [np.asarray(part, dtype=np.int64).reshape(-1, 2) for part in (train, valid, test)]
        check_pairs(np.concatenate(parts), n_users, n_items, "the given arrays (train, valid, test in one)")
        orders = [order_by(*part.T) for part in parts]
        known = {}
        for (name, kind), columns in zip(DETAILS.items(), (ratings, timestamps, texts, places), strict=True):
            for split, column, order in zip(SPLITS, columns or (), orders, strict=columns is not None):
                known[name, split] = pa.array(column, kind, from_pandas=True).take(pa.array(order))
        train, valid, test = (part[order] for part, order in zip(parts, orders, strict=True))
        items = _plain_table("item", n_items) if items is None else items
        users = _plain_table("user", n_users) if users is None else users
        return cls(n_users, n_items, train, valid, test, items, users, meta or {}, None, known)

    @property
    def is_sealed(self) -> bool:
        """Whether the test interactions cannot be read."""
        return isinstance(self.test, Sealed)

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that can be read, in order."""
        return OPEN if self.is_sealed else SPLITS

    def sealed(self) -> Dataset:
        """The same data for whoever chooses: without the test interactions, see the class."""
        known = {key: column for key, column in self.known.items() if key[1] != "test"}
        return replace(self, test=_sealed(), known=known)

    def pairs(self, split: str) -> np.ndarray:
        """The interactions of "train", "valid" or "test": int64 [m, 2], sorted by (user, item)."""
        return getattr(self, self._checked(split))

    def starts(self, split: str) -> np.ndarray:
        """int64 [n_users + 1]: user u's rows of `pairs(split)` are starts[u] : starts[u + 1]."""
        pairs = self.pairs(split)
        return UserItems.build(pairs[:, 0], pairs[:, 1], self.n_users).starts

    def by_time(self, split: str) -> np.ndarray:
        """int64 [m]: the rows of `pairs(split)` in order of (user, clock, item), or (user, item) without times."""
        return by_time(self.pairs(split), self.clock(split))

    def ratings(self, split: str) -> np.ndarray | None:
        """float32 [m], aligned with `pairs(split)`: NaN where one has no rating; None where the data have none."""
        return getattr(self, f"{self._checked(split)}_ratings")

    def timestamps(self, split: str) -> np.ndarray | None:
        """int64 [m] seconds since 1970, aligned with `pairs(split)`; None where the data have no times."""
        return getattr(self, f"{self._checked(split)}_timestamps")

    def places(self, split: str) -> np.ndarray | None:
        """int32 [m], aligned with `pairs(split)`: each one's place among all of its user's in order of time; None where
        equal times are in order of items (`split.ties`)."""
        return self._numbers("place", split)

    def clock(self, split: str) -> np.ndarray | None:
        """int64 [m], aligned with `pairs(split)`: rises in a user's order of time, over all splits; None without times.

        Whoever asks what came before what asks this: times alone leave open which of several at one time was first.
        """
        places = self.places(split)
        return self.timestamps(split) if places is None else places.astype(np.int64)

    def texts(self, split: str) -> pa.Array | None:
        """What users wrote, a string or null for each of `pairs(split)`; None where the data have no texts.

        Read anew at every call and of this split alone: nothing keeps the texts in memory.
        """
        return self._detail("review", self._checked(split))

    def without(self, rows: np.ndarray) -> Dataset:
        """The same data without some training interactions, and without texts.

        Args:
            rows: bool [m], aligned with `train`: True for those that are left out.
        """
        known = {}
        for name in ("rating", "timestamp", "place"):
            for split in self.splits:
                column = self._detail(name, split)
                if column is not None:
                    known[name, split] = column.filter(pa.array(~rows)) if split == "train" else column
        return replace(self, train=self.train[~rows], folder=None, known=known)

    @cached_property
    def train_ratings(self) -> np.ndarray | None:
        """See `ratings`."""
        return self._numbers("rating", "train")

    @cached_property
    def valid_ratings(self) -> np.ndarray | None:
        """See `ratings`."""
        return self._numbers("rating", "valid")

    @cached_property
    def test_ratings(self) -> np.ndarray | None:
        """See `ratings`."""
        return self._numbers("rating", "test")

    @cached_property
    def train_timestamps(self) -> np.ndarray | None:
        """See `timestamps`."""
        return self._numbers("timestamp", "train")

    @cached_property
    def valid_timestamps(self) -> np.ndarray | None:
        """See `timestamps`."""
        return self._numbers("timestamp", "valid")

    @cached_property
    def test_timestamps(self) -> np.ndarray | None:
        """See `timestamps`."""
        return self._numbers("timestamp", "test")

    def _numbers(self, name: str, split: str) -> np.ndarray | None:
        column = self._detail(name, self._checked(split))
        if column is None or (name == "timestamp" and column.null_count):
            return None
        return column.to_numpy(zero_copy_only=False).astype(DETAILS[name].to_pandas_dtype())

    def _detail(self, name: str, split: str) -> pa.Array | None:
        if self.folder is None:
            return self.known.get((name, split))
        return read_detail(DatasetFolder(self.folder).interactions, name, split, self.pairs(split))

    def _checked(self, split: str) -> str:
        if split not in SPLITS:
            raise ValueError(f"split is one of {', '.join(SPLITS)}, not {split!r}")
        if split not in self.splits:
            raise SealedSplit
        return split

    @cached_property
    def popularity(self) -> np.ndarray:
        """int64 [n_items]: the number of training interactions of each item."""
        return np.bincount(self.train[:, 1], minlength=self.n_items)


def _sealed() -> np.ndarray:
    """In the place of the test interactions; typed as what it stands for, because all who look are refused."""
    return cast(np.ndarray, Sealed())


def _plain_table(name: str, size: int) -> pa.Table:
    ids = np.arange(size)
    return pa.table({name: pa.array(ids, pa.int32()), "source_id": pa.array(ids.astype(str))})
