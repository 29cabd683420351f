"""Ranked lists of items, e.g. `candidates/candidates.parquet`: columns user, rank (0 = best), item, and a score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from augrec.artefacts.checked_tables import read_columns, read_ids, refuse_repeated
from augrec.artefacts.files import write_parquet
from augrec.artefacts.interactions import UserItems, read_in_order
from augrec.artefacts.sorted_rows import order_by

COLUMNS = ("user", "rank", "item")


def write_ranked_lists(path: Path, lists: UserItems, scores: np.ndarray | None = None) -> None:
    """Writes the lists of every user, best first.

    Args:
        path: the file, written atomically.
        lists: the items.
        scores: float [m], of each item; None where there are none.
    """
    ranks = np.arange(len(lists.items)) - np.repeat(lists.starts[:-1], lists.lengths)
    columns = zip(COLUMNS, (lists.users, ranks, lists.items), strict=True)
    table: dict[str, pa.Array] = {name: pa.array(values.astype(np.int32)) for name, values in columns}
    known = pa.nulls(len(ranks), pa.float32()) if scores is None else pa.array(scores.astype(np.float32))
    write_parquet(path, pa.table(table | {"score": known}))


def read_ranked_lists(path: Path, n_users: int, n_items: int, *, remedy: str) -> UserItems:
    """The list of every user, best first; empty for those without one.

    Args:
        path: the file.
        n_users, n_items: counts of contiguous ids.
        remedy: what to do about a file that is wrong.

    Raises:
        DataError: the file is missing or damaged, lacks a column, names an unknown id, or lists an item twice.
    """
    lists = read_in_order(path, ("rank",), n_users, n_items, remedy=remedy)
    return _read(path, COLUMNS, n_users, n_items, remedy)[0] if lists is None else lists


def read_scored_lists(path: Path, n_users: int, n_items: int, *, remedy: str) -> tuple[UserItems, np.ndarray]:
    """The list of every user, best first, and float32 [m], the score of each item; NaN where there is none.

    See `read_ranked_lists`.
    """
    lists, rows = _read(path, (*COLUMNS, "score"), n_users, n_items, remedy)
    return lists, rows["score"].to_numpy().astype(np.float32)


def _read(path: Path, columns: Sequence[str], n_users: int, n_items: int, remedy: str) -> tuple[UserItems, pa.Table]:
    """The lists, and the table in the same order."""
    table = read_columns(path, columns, remedy=remedy)
    users = read_ids(table, "user", n_users, path, remedy=remedy)
    items = read_ids(table, "item", n_items, path, remedy=remedy)
    refuse_repeated(users * n_items + items, "an item is listed twice for the same user", path, remedy)
    order = order_by(users, table["rank"].to_numpy())
    return UserItems.build(users[order], items[order], n_users), table.take(pa.array(order))
