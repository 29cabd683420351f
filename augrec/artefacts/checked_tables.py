"""Tables whose columns and ids are checked while they are read: an error names file, row and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet


def read_columns(path: Path, columns: Sequence[str], *, remedy: str) -> pa.Table:
    """Some columns of a table. Raises DataError where the file is missing or damaged, or lacks one of them."""
    table = read_parquet(path, columns=columns, remedy=remedy)
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise DataError(f"columns are missing: {', '.join(missing)}", where=path, remedy=remedy)
    return table


def read_ids(table: pa.Table, name: str, size: int, path: Path, *, remedy: str) -> np.ndarray:
    """A column of contiguous ids, int64. Raises DataError for one that is missing or outside 0..size-1."""
    ids = pc.fill_null(table[name], -1).to_numpy().astype(np.int64)
    check_ids(ids, name, size, path, remedy)
    return ids


def check_ids(ids: np.ndarray, name: str, size: int, where: str | Path, remedy: str) -> None:
    """Raises DataError for an id (int [m]) outside 0..size-1."""
    wrong = (ids < 0) | (ids >= size)
    refuse_rows(wrong, f"{name} id outside 0..{size - 1}: {ids[np.argmax(wrong)]}" if len(ids) else "", where, remedy)


def refuse_repeated(keys: np.ndarray, what: str, where: str | Path, remedy: str) -> np.ndarray:
    """Raises DataError where a key (int64 [m]) occurs a second time; the rows in order of their keys, int64 [m]."""
    order = np.argsort(keys, kind="stable")
    rising = keys[order]
    same = np.flatnonzero(rising[1:] == rising[:-1])
    if len(same):
        repeated = np.zeros(len(keys), dtype=bool)
        repeated[order[same + 1]] = True
        refuse_rows(repeated, what, where, remedy)
    return order


def refuse_rows(wrong: np.ndarray, what: str, where: str | Path, remedy: str) -> None:
    """Raises DataError with the first row that is wrong (bool [m]); nothing where none is."""
    if wrong.any():
        raise DataError(what, where=f"{where}, row {int(np.argmax(wrong))}", remedy=remedy)
