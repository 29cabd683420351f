"""What is known of items and users, as Arrow tables with one row per contiguous id."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from augrec.artefacts.errors import DataError
from recsys.data.markup import blank_is_null, without_markup
from recsys.data.readers.nothing import MISSING

PART = 65_536
"""Rows of texts that are put in order at a time: they are large, and each is copied on its way."""
NO_VALUE = ("", "nan", "null", "none", "<na>", "nat", "\\n")
"""What stands in a list where there is nothing, in small letters."""
NO_GENRE = (*MISSING, *NO_VALUE, "unkonwn", "(no genres listed)")


def side_table(side: pd.DataFrame, name: str, source_ids: np.ndarray) -> pa.Table:
    """Columns `name` (int32, 0..n-1), source_id (string) and the typed side columns of `side`. Blank text is null.

    Args:
        side: rows by source id in the column `name`, in any order; ids that are not kept are left out.
        name: "item" or "user".
        source_ids: [n] the kept ids in contiguous order. One that `side` does not describe gets nulls (empty lists).

    Returns:
        The table, texts of many rows in several chunks.
    """
    columns = {
        name: pa.array(np.arange(len(source_ids)), pa.int32()),
        "source_id": pa.array(source_ids, pa.string()),
    }
    others = {column: side[column] for column in side.columns.drop(name)}
    places = pd.Index(side[name]).get_indexer(pd.Index(source_ids)) if len(side) and len(others) else None
    del side  # each column goes when it is in order, unless somebody else holds them
    for column in [*others]:
        cells = others.pop(column)
        if column in columns:
            raise DataError(
                f"the side column {column!r} of {name}s has a name Augrec uses", remedy="rename it in the source"
            )
        if places is None:
            values = pa.nulls(len(source_ids), pa.string())
        elif isinstance(cells.dtype, pd.StringDtype) and column != "year":
            parts = (places[start : start + PART] for start in range(0, len(places), PART))
            values = pa.chunked_array([_arrow(_cells(cells, part), column) for part in parts], pa.string())
        elif isinstance(cells.dtype, pd.ArrowDtype) and pa.types.is_list(cells.dtype.pyarrow_dtype):
            values = _lists(cells, places)
        else:
            values = _arrow(_cells(cells, places), column)
        columns[column] = _without_placeholders(values, NO_GENRE if column == "genres" else NO_VALUE)
    return pa.table(columns)


def _cells(column: pd.Series, places: np.ndarray) -> pd.Series:
    """Those at some places, missing ones at places below 0."""
    cells, known = column.take(np.maximum(places, 0)), places >= 0
    return cells if known.all() else cells.where(pd.Series(known, index=cells.index), None)


def _lists(column: pd.Series, places: np.ndarray) -> pa.Array:
    """Arrow's lists of texts at some places, empty ones at places below 0."""
    held = pa.array(column)
    whole = held.combine_chunks() if isinstance(held, pa.ChunkedArray) else held
    lists = whole.take(pa.array(places, mask=places < 0))
    return pa.ListArray.from_arrays(_offsets(lists), lists.flatten())


def genre_vocabulary(items: pa.Table) -> list[str]:
    """All genres of the items, sorted."""
    if "genres" not in items.column_names or not pa.types.is_list(items["genres"].type):
        return []
    return sorted(pc.unique(pc.list_flatten(items["genres"])).to_pylist())


def cleaned(table: pa.Table, about: str) -> tuple[pa.Table, list[str]]:
    """The table without HTML in its texts and lists of texts, and a line that says how many were changed."""
    changed, columns = {}, dict(zip(table.column_names, table.columns, strict=True))
    del table  # each column goes when there is another one, unless somebody else holds them
    for name in columns:
        if name == "source_id":
            continue
        chunks = columns[name].num_chunks
        column = columns[name].combine_chunks() if chunks != 1 else columns[name].chunk(0)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            values, count = without_markup(column)
            values = blank_is_null(values)
        elif pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type):
            parts, count = without_markup(column.flatten())
            values = pa.ListArray.from_arrays(_offsets(column), parts)
        else:
            continue
        if count:
            changed[name] = count
        if count or chunks != 1:  # in one piece: a Parquet file's bytes depend on it
            columns[name] = values
    counts = ", ".join(f"{name} ({count:,})" for name, count in changed.items())
    return pa.table(columns), [f"{about}s: HTML tags and entities removed from {counts}"] if changed else []


def _offsets(lists: pa.ListArray) -> pa.Array:
    """Where the lists begin and end among their values, a null one being empty."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def _arrow(column: pd.Series, name: str) -> pa.Array:
    if column.dtype == object and any(isinstance(value, (list, np.ndarray)) for value in column):
        lists = [list(value) if isinstance(value, (list, np.ndarray)) else [] for value in column]
        numeric = all(isinstance(value, (int, float)) for values in lists for value in values)
        return pa.array(lists, pa.list_(pa.float32() if numeric and any(lists) else pa.string()))
    if name == "year":
        return pa.array(column.astype("Int16"), pa.int16())
    if pd.api.types.is_string_dtype(column) or column.dtype == object:
        return blank_is_null(_strings(column))
    return pa.Array.from_pandas(_whole(column))


def _strings(column: pd.Series) -> pa.Array:
    texts = column
    if column.dtype == object:
        texts = column.where(column.notna(), None)
        texts = texts.map(lambda value: value if value is None or isinstance(value, str) else str(value))
    array = pa.array(texts, pa.string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _whole(column: pd.Series) -> pd.Series:
    """Integers that became floats because some rows have none are integers again, with nulls."""
    if pd.api.types.is_float_dtype(column) and column.isna().any() and (column.dropna() % 1 == 0).all():
        return column.astype("Int64")
    return column


def _without_placeholders(lists: pa.Array, placeholders: tuple[str, ...]) -> pa.Array:
    """Lists of texts without some of these; any other column as it is."""
    if not pa.types.is_list(lists.type):
        return lists
    values = lists.flatten()
    if not pa.types.is_string(values.type):
        return lists
    kept = ~np.asarray(pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(values)), value_set=pa.array(placeholders)))
    if kept.all():
        return lists
    before = np.concatenate([[0], np.cumsum(kept)])
    offsets = before[_offsets(lists).to_numpy()]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values.filter(pa.array(kept)))
