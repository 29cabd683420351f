"""What is known of items and users, as Arrow tables with one row per contiguous id."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from artefacts.errors import DataError

NO_GENRE = {"", "unknown", "unkonwn", "(no genres listed)"}


def side_table(side: pd.DataFrame, name: str, source_ids: np.ndarray) -> pa.Table:
    """Columns `name` (int32, 0..n-1), source_id (string) and the typed side columns of `side`.

    Args:
        side: rows by source id in the column `name`, in any order; ids that are not kept are left out.
        name: "item" or "user".
        source_ids: [n] the kept ids in contiguous order. One that `side` does not describe gets nulls (empty lists).
    """
    rows = side.set_index(name).reindex(source_ids)
    columns = {
        name: pa.array(np.arange(len(source_ids)), pa.int32()),
        "source_id": pa.array(source_ids, pa.string()),
    }
    for column in rows.columns:
        if column in columns:
            raise DataError(
                f"the side column {column!r} of {name}s has a name Augrec uses", remedy="rename it in the source"
            )
        values = _arrow(rows[column], column)
        columns[column] = _without_placeholders(values) if column == "genres" else values
    return pa.table(columns)


def genre_vocabulary(items: pa.Table) -> list[str]:
    """All genres of the items, sorted."""
    if "genres" not in items.column_names:
        return []
    return sorted({genre for genres in items["genres"].to_pylist() for genre in genres})


def _arrow(column: pd.Series, name: str) -> pa.Array:
    if any(isinstance(value, (list, np.ndarray)) for value in column):
        lists = [list(value) if isinstance(value, (list, np.ndarray)) else [] for value in column]
        numeric = all(isinstance(value, (int, float)) for values in lists for value in values)
        return pa.array(lists, pa.list_(pa.float32() if numeric and any(lists) else pa.string()))
    if name == "year":
        return pa.array(column.astype("Int16"), pa.int16())
    if pd.api.types.is_string_dtype(column) or column.dtype == object:
        return pa.array([None if _missing(value) else str(value) for value in column], pa.string())
    return pa.Array.from_pandas(_whole(column))


def _whole(column: pd.Series) -> pd.Series:
    """Integers that became floats because some rows have none are integers again, with nulls."""
    if pd.api.types.is_float_dtype(column) and column.isna().any() and (column.dropna() % 1 == 0).all():
        return column.astype("Int64")
    return column


def _without_placeholders(genres: pa.Array) -> pa.Array:
    lists = [[genre for genre in row if genre.strip().lower() not in NO_GENRE] for row in genres.to_pylist()]
    return pa.array(lists, pa.list_(pa.string()))


def _missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))
