"""Numbers by item that are made when the first is asked for: most prompts show none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from augrec.artefacts.interactions import UserItems, read_detail, read_interactions


class ItemNumbers(Mapping[int, float]):
    """A number for some item ids.

    Args:
        make: gives them all; called once, and not before one is wanted.
    """

    def __init__(self, make: Callable[[], Mapping[int, float]]) -> None:
        self._make = make
        self._made: Mapping[int, float] | None = None

    def _all(self) -> Mapping[int, float]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, item: int) -> float:
        return self._all()[item]

    def __iter__(self) -> Iterator[int]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"


class Ratings:
    """The ratings of training interactions; those of other splits are dropped while the file is read.

    Args:
        path: `interactions.parquet`; None for data that have none.
        n_users, n_items: the sizes.
    """

    def __init__(self, path: Path | None, n_users: int, n_items: int) -> None:
        self._path, self._n_users, self._n_items = path, n_users, n_items
        self._rated: tuple[UserItems, np.ndarray] | None = None

    def of(self, user: int) -> Mapping[int, float]:
        """The ratings that a user gave in training, by item; empty where the data have none."""
        return ItemNumbers(lambda: self._of(user))

    def values(self) -> tuple[float, ...]:
        """The different ratings that were given, rising; none where the data have none."""
        _, ratings = self._all()
        return tuple(np.unique(ratings[~np.isnan(ratings)]).tolist())

    def _all(self) -> tuple[UserItems, np.ndarray]:
        if self._rated is None:
            self._rated = self._read()
        return self._rated

    def _of(self, user: int) -> dict[int, float]:
        items, ratings = self._all()
        own = slice(*items.starts[user : user + 2])
        given = ~np.isnan(ratings[own])
        return dict(zip(items.items[own][given].tolist(), ratings[own][given].tolist(), strict=True))

    def _read(self) -> tuple[UserItems, np.ndarray]:
        nothing = np.empty(0, dtype=np.int64)
        pairs, column = np.empty((0, 2), dtype=np.int64), None
        if self._path is not None:
            pairs = read_interactions(self._path, self._n_users, self._n_items, splits=("train",)).pairs
            column = read_detail(self._path, "rating", "train", pairs)
        if column is None:
            return UserItems.build(nothing, nothing, self._n_users), nothing.astype(np.float64)
        ratings = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return UserItems.build(pairs[:, 0], pairs[:, 1], self._n_users), ratings
