"""Ranked lists of items, e.g. `candidates/candidates.parquet`: columns user, rank (0 = best), item, and a score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet, write_parquet
from augrec.artefacts.interactions import UserItems, check_pairs

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
    table = read_parquet(path, columns=COLUMNS, remedy=remedy)
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise DataError(f"columns are missing: {', '.join(missing)}", where=path, remedy=remedy)
    users, ranks, items = (table[name].to_numpy().astype(np.int64) for name in COLUMNS)
    try:
        check_pairs(np.stack([users, items], axis=1), n_users, n_items, path, remedy)
    except DataError as error:
        if "twice" in error.what:
            raise DataError("an item is listed twice for the same user", where=error.where, remedy=remedy) from None
        raise
    order = np.lexsort((ranks, users))
    return UserItems.build(users[order], items[order], n_users)
