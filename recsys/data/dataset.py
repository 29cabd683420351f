"""A prepared data set in memory: contiguous ids, three disjoint splits, side information."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, read_parquet

SPLITS = ("train", "valid", "test")
REMEDY = "run `augrec prepare` again to write the dataset folder anew"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions by split and the tables of items and users.

    `train`, `valid` and `test` are int64 [m, 2] (user, item), unique, sorted by (user, item). Row i of `items` and
    `users` describes the item or user with contiguous id i.
    """

    n_users: int
    n_items: int
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    items: pa.Table
    users: pa.Table
    meta: dict[str, Any] = field(default_factory=dict)
    train_timestamps: np.ndarray | None = None
    """int64 [len(train)] seconds, aligned with `train`; None when the source has no times."""

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Reads and checks a `dataset/` folder.

        Raises:
            DataError: a file is missing or broken, ids are not contiguous, an interaction occurs twice (also across
                splits) or names an id that has no row; names the file and its first offending row (from 0).
        """
        meta = read_json(folder / "dataset.json", remedy=REMEDY)
        items = _side_table(folder / "items.parquet", "item")
        users = _side_table(folder / "users.parquet", "user")
        path = folder / "interactions.parquet"
        table = read_parquet(path, remedy=REMEDY)
        missing = {"user", "item", "split"} - set(table.column_names)
        if missing:
            raise DataError(f"columns are missing: {', '.join(sorted(missing))}", where=path, remedy=REMEDY)
        split = table["split"].to_numpy(zero_copy_only=False)
        _refuse(~np.isin(split, SPLITS), f"split is none of {', '.join(SPLITS)}", path)
        pairs = np.stack([table[name].to_numpy().astype(np.int64) for name in ("user", "item")], axis=1)
        check_pairs(pairs, users.num_rows, items.num_rows, path)
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        pairs, split = pairs[order], split[order]
        times = None
        if "timestamp" in table.column_names and not table["timestamp"].null_count:
            times = table["timestamp"].to_numpy().astype(np.int64)[order][split == "train"]
        train, valid, test = (pairs[split == name] for name in SPLITS)
        return cls(users.num_rows, items.num_rows, train, valid, test, items, users, meta, times)

    @classmethod
    def from_arrays(
        cls,
        n_users: int,
        n_items: int,
        train: np.ndarray,
        valid: np.ndarray,
        test: np.ndarray,
        *,
        train_timestamps: np.ndarray | None = None,
        items: pa.Table | None = None,
        users: pa.Table | None = None,
        meta: dict[str, Any] | None = None,
    ) -> Dataset:
        """Builds a data set from pairs [m, 2] in any order, checked as `load` checks files.

        Without `items` and `users` the tables hold ids only. `train_timestamps` is aligned with `train` as given.
        """
        parts = [np.asarray(part, dtype=np.int64).reshape(-1, 2) for part in (train, valid, test)]
        check_pairs(np.concatenate(parts), n_users, n_items, "the given arrays (train, valid, test in one)")
        orders = [np.lexsort((part[:, 1], part[:, 0])) for part in parts]
        if train_timestamps is not None:
            train_timestamps = np.asarray(train_timestamps, dtype=np.int64)[orders[0]]
        train, valid, test = (part[order] for part, order in zip(parts, orders, strict=True))
        items = _plain_table("item", n_items) if items is None else items
        users = _plain_table("user", n_users) if users is None else users
        return cls(n_users, n_items, train, valid, test, items, users, meta or {}, train_timestamps)

    def pairs(self, split: str) -> np.ndarray:
        """The interactions of "train", "valid" or "test": int64 [m, 2], sorted by (user, item)."""
        if split not in SPLITS:
            raise ValueError(f"split is one of {', '.join(SPLITS)}, not {split!r}")
        return getattr(self, split)

    def starts(self, split: str) -> np.ndarray:
        """int64 [n_users + 1]: user u's rows of `pairs(split)` are starts[u] : starts[u + 1]."""
        return np.searchsorted(self.pairs(split)[:, 0], np.arange(self.n_users + 1))

    def train_by_time(self) -> np.ndarray:
        """Training interactions [m, 2] in the order (user, timestamp, item); (user, item) when there are no times."""
        if self.train_timestamps is None:
            return self.train
        return self.train[np.lexsort((self.train[:, 1], self.train_timestamps, self.train[:, 0]))]

    @cached_property
    def popularity(self) -> np.ndarray:
        """int64 [n_items]: the number of training interactions of each item."""
        return np.bincount(self.train[:, 1], minlength=self.n_items)


def check_pairs(pairs: np.ndarray, n_users: int, n_items: int, where: str | Path) -> None:
    """Raises `DataError` for an id outside 0..n-1 or a (user, item) pair that occurs twice."""
    for column, name, size in ((0, "user", n_users), (1, "item", n_items)):
        ids = pairs[:, column]
        _refuse((ids < 0) | (ids >= size), f"{name} id outside 0..{size - 1}", where)
    keys = pairs[:, 0] * n_items + pairs[:, 1]
    order = np.argsort(keys, kind="stable")
    repeated = np.zeros(len(keys), dtype=bool)
    repeated[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    _refuse(repeated, "the same user and item occur twice, within a split or across splits", where)


def _refuse(bad: np.ndarray, what: str, where: str | Path) -> None:
    if bad.any():
        raise DataError(what, where=f"{where}, row {int(np.argmax(bad))}", remedy=REMEDY)


def _side_table(path: Path, name: str) -> pa.Table:
    table = read_parquet(path, remedy=REMEDY)
    if name not in table.column_names:
        raise DataError(f"the column {name!r} is missing", where=path, remedy=REMEDY)
    ids = pc.fill_null(table[name], -1).to_numpy()
    _refuse(ids != np.arange(len(ids)), f"{name} ids are not contiguous from 0", path)
    return table


def _plain_table(name: str, size: int) -> pa.Table:
    ids = np.arange(size)
    return pa.table({name: pa.array(ids, pa.int32()), "source_id": pa.array(ids.astype(str))})
