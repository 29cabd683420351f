"""Who interacted with what: `dataset/interactions.parquet`, and the items of each user made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from augrec.artefacts.checked_tables import check_ids, refuse_repeated, refuse_rows
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet, read_parquet_parts, readable_parquet
from augrec.artefacts.sorted_rows import in_order, order_by

SPLITS = ("train", "valid", "test")
"""A split's code is its place here."""
DETAILS = {"rating": pa.float32(), "timestamp": pa.int64(), "review": pa.large_string(), "place": pa.int32()}
"""The columns that an interaction may have beside user, item (int32) and split, and their types. `place` counts the
interactions of a user in order of time, from 0 and over all splits; it is there where equal times are not in order of
items."""
PREPARE_AGAIN = "run `augrec prepare` again to write the dataset folder anew"


@dataclass(frozen=True, slots=True)
class UserItems:
    """Items of every user, one user after the other: those of user u are `items[starts[u]:starts[u + 1]]`."""

    starts: np.ndarray
    """int64 [n_users + 1]."""
    items: np.ndarray
    """int [m]."""

    @classmethod
    def build(cls, users: np.ndarray, items: np.ndarray, n_users: int) -> UserItems:
        """From parallel arrays already sorted by user, each of whom is below `n_users`."""
        return cls(np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))]), items)

    def of(self, user: int) -> np.ndarray:
        """The items of one user."""
        return self.items[self.starts[user] : self.starts[user + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """int64 [n_users], how many each has."""
        return np.diff(self.starts)

    @property
    def users(self) -> np.ndarray:
        """int64 [m], the user of every item."""
        return np.repeat(np.arange(len(self.starts) - 1, dtype=np.int64), self.lengths)

    def any_twice(self, n_items: int, *others: UserItems) -> bool:
        """Whether a user has an item twice: here, or here and in `others` of the same users.

        Args:
            n_items: more than any item.
            others: looked at together with these.
        """
        n_users = len(self.starts) - 1
        together = max(1, np.iinfo(np.int32).max // max(1, n_items))  # users: keys of four bytes, in the caches
        for begin in range(0, n_users, together):
            end = min(begin + together, n_users)
            keys = np.concatenate([each._keys(begin, end, n_items) for each in (self, *others)])
            keys.sort()
            if (keys[1:] == keys[:-1]).any():
                return True
        return False

    def _keys(self, begin: int, end: int, n_items: int) -> np.ndarray:
        """int32, (user - begin) * n_items + item of every item of the users begin..end-1."""
        starts = self.starts[begin : end + 1]
        keys = np.repeat(np.arange(end - begin, dtype=np.int32) * np.int32(n_items), np.diff(starts))
        keys += self.items[starts[0] : starts[-1]].astype(np.int32, copy=False)
        return keys


@dataclass(frozen=True, eq=False)
class Interactions:
    """The interactions of some splits, sorted by (user, item)."""

    pairs: np.ndarray
    """int64 [m, 2] of (user, item), unique."""
    codes: np.ndarray
    """int64 [m], the place of each interaction's split in `SPLITS`."""
    clock: np.ndarray | None = None
    """int64 [m], rising in a user's order of time: places, or seconds since 1970 where the data have no places; None
    where they were not read, or one of them is not known."""

    def of(self, split: str) -> np.ndarray:
        """int64 [m, 2], the pairs of one split."""
        return self.pairs[self.codes == SPLITS.index(split)]

    def histories(self, split: str, n_users: int) -> UserItems:
        """The items of every user in one split, oldest first; in order of their ids where times are not known."""
        chosen = self.codes == SPLITS.index(split)
        pairs = self.pairs[chosen]
        order = by_time(pairs, None if self.clock is None else self.clock[chosen])
        return UserItems.build(pairs[order, 0], pairs[order, 1], n_users)


def by_time(pairs: np.ndarray, clock: np.ndarray | None) -> np.ndarray:
    """int64 [m]: the rows of `pairs` (int64 [m, 2]) in order of (user, clock, item), or (user, item) without times."""
    order = order_by(*pairs.T)
    return order if clock is None else order[order_by(pairs[order, 0], clock[order])]


def read_interactions(
    path: Path,
    n_users: int,
    n_items: int,
    *,
    splits: Sequence[str] = SPLITS,
    times: bool = False,
    remedy: str = PREPARE_AGAIN,
) -> Interactions:
    """Reads and checks the interactions of some splits; rows of others are dropped while the file is read.

    Args:
        path: `interactions.parquet`.
        n_users, n_items: rows of the tables of users and items.
        splits: those that are read.
        times: whether the order in time is read, too.
        remedy: what to do about a file that is wrong.

    Raises:
        DataError: the file is missing or damaged, lacks a column, has another split, an id without a row, or a pair
            twice, within a split or across those that are read.
    """
    wanted = ["user", "item", "split", *(["timestamp", "place"] if times else [])]
    rows = None if tuple(splits) == SPLITS else ("split", splits)
    table = read_parquet(path, columns=wanted, rows=rows, remedy=remedy)
    missing = sorted({"user", "item", "split"} - set(table.column_names))
    if missing:
        raise DataError(f"columns are missing: {', '.join(missing)}", where=path, remedy=remedy)
    codes = pc.fill_null(pc.index_in(table["split"], pa.array(SPLITS)), -1).to_numpy()
    refuse_rows(codes < 0, f"split is none of {', '.join(SPLITS)}", path, remedy)
    pairs = _pairs(table)
    order = check_pairs(pairs, n_users, n_items, path, remedy)
    clock = None
    known = [name for name in ("place", "timestamp") if name in table.column_names and not table[name].null_count]
    if times and known:
        clock = table[known[0]].to_numpy().astype(np.int64)[order]
    return Interactions(pairs[order], codes[order].astype(np.int64), clock)


def read_histories(path: Path, split: str, n_users: int, n_items: int, *, remedy: str = PREPARE_AGAIN) -> UserItems:
    """The items of every user in one split, oldest first: `histories` of what `read_interactions` reads.

    Raises:
        DataError: see `read_interactions`.
    """
    with readable_parquet(path, remedy=remedy):
        names = pq.read_schema(path).names
    clock = [name for name in ("place", "timestamp") if name in names][:1]
    found = read_in_order(path, clock, n_users, n_items, rows=("split", (split,)), remedy=remedy)
    if found is None:
        read = read_interactions(path, n_users, n_items, splits=(split,), times=True, remedy=remedy)
        found = read.histories(split, n_users)
    return found


def read_in_order(
    path: Path,
    by: Sequence[str],
    n_users: int,
    n_items: int,
    *,
    rows: tuple[str, Sequence[str]] | None = None,
    remedy: str | None = None,
) -> UserItems | None:
    """The items of every user from a file whose rows stand in order of user, some columns, and item, as we write them.

    Nothing is held but the items, of the file's type, and no rows are sorted. None where they stand in another order,
    or anything is wrong with them: whoever then reads them all puts them in order or says what is wrong.

    Args:
        path: a Parquet file with columns user and item.
        by: the columns between these two.
        n_users, n_items: counts of contiguous ids.
        rows, remedy: see `read_parquet`.

    Raises:
        DataError: the file is missing or damaged, or lacks the column of `rows`.
    """
    counts, items = np.zeros(n_users, dtype=np.int64), []
    latest: tuple[int, ...] = ()
    for part in read_parquet_parts(path, columns=["user", *by, "item"], rows=rows, remedy=remedy):
        whole = [pa.types.is_signed_integer(column.type) and not column.null_count for column in part.columns]
        if len(whole) < len(by) + 2 or not all(whole):
            return None
        if not part.num_rows:
            continue
        columns = [column.to_numpy() for column in part.columns]
        first, last = (tuple(int(column[row]) for column in columns) for row in (0, -1))
        own = columns[-1]
        known = 0 <= first[0] <= last[0] < n_users and 0 <= own.min() <= own.max() < n_items
        if not known or first < latest or not in_order(*columns):
            return None
        counts[first[0] : last[0] + 1] += np.bincount(columns[0] - columns[0][0])
        items.append(own)
        latest = last
    if not items:
        return None
    found = UserItems(np.concatenate([[0], np.cumsum(counts)]), np.concatenate(items))
    return None if found.any_twice(n_items) else found


def read_detail(path: Path, name: str, split: str, pairs: np.ndarray) -> pa.Array | None:
    """One column of the interactions of a split, aligned with pairs that were read before.

    Args:
        path: `interactions.parquet`.
        name: one of `DETAILS`.
        split: whose.
        pairs: int64 [m, 2], those of the split, sorted.

    Returns:
        [m], null where an interaction has none; None where the file has no such column.
    """
    rows = read_parquet(path, columns=["user", "item", name], rows=("split", (split,)), remedy=PREPARE_AGAIN)
    if name not in rows.column_names:
        return None
    stored = _pairs(rows)
    order = order_by(*stored.T)
    if not np.array_equal(stored[order], pairs):
        raise DataError("the interactions have changed since they were read", where=path, remedy="start again")
    return rows[name].take(pa.array(order)).combine_chunks()


def check_pairs(
    pairs: np.ndarray, n_users: int, n_items: int, where: str | Path, remedy: str = PREPARE_AGAIN
) -> np.ndarray:
    """The rows in order of (user, item), int64 [m].

    Raises:
        DataError: an id is outside 0..n-1, or a pair occurs twice; names the first such row.
    """
    for column, name, size in ((0, "user", n_users), (1, "item", n_items)):
        check_ids(pairs[:, column], name, size, where, remedy)
    keys = pairs[:, 0] * n_items + pairs[:, 1]
    return refuse_repeated(keys, "the same user and item occur twice, within a split or across splits", where, remedy)


def _pairs(table: pa.Table) -> np.ndarray:
    """int64 [m, 2] as they stand in the file; -1 where an id is missing."""
    return np.stack([pc.fill_null(table[name], -1).to_numpy().astype(np.int64) for name in ("user", "item")], axis=1)
