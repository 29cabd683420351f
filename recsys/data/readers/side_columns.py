"""One column that describes items or users, from text or from cells of any kind to what it holds.

The whole column decides: several values, a year, text, whole numbers, numbers or truth values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from augrec.artefacts.counts import counted
from recsys.data.markup import blank_is_null
from recsys.data.readers.fields import typed, years_of
from recsys.data.readers.nested import NumberText, text_of, values_of
from recsys.data.readers.nothing import PROSE

SEPARATOR = "|"
"""Of several values in one text, where nobody says otherwise."""


def side_column(
    column: pd.Series, path: Path, notes: list[str], lists: Collection[str] = ("genres",), separator: str = SEPARATOR
) -> pd.Series:
    """The column by its name and its cells.

    Args:
        column: text, a column of a table with types, or cells (text, `NumberText`, booleans, lists, objects, None).
        path: names the file in notes.
        notes: get a line on what was not understood.
        lists: names of columns that hold several values.
        separator: of several values in one text.
    """
    name = str(column.name)
    if name in lists:
        typed_cells = column.dtype != object
        values = lists_in([str(c) if typed_cells and not _absent(c) else c for c in column], separator)
        if not any(len(parts) > 1 for parts in values):
            _note_other_separator([parts[0] for parts in values if parts], name, separator, path, notes)
        return pd.Series(values, dtype=object)
    cells = column if column.dtype == object else None
    if cells is not None and _numeric_lists(cells):
        return cells.map(lambda cell: [float(part) for part in cell or []])
    if cells is not None and name != "year":
        numbers = all(isinstance(cell, NumberText) for cell in cells if cell is not None)
        booleans = all(isinstance(cell, bool) for cell in cells if cell is not None)
        column = texts_of(cells)
        if not (numbers or booleans):  # what JSON writes as text is text
            return column.where(column.str.strip() != "", None)
    if name == "year":
        years, odd = years_of(texts_of(cells) if cells is not None else column)
        if odd:
            holding = counted(len(odd), "value of year holds", "different values of year hold")
            notes.append(f"{path.name}: {holding} no year, e.g. {odd[0]!r}")
        return years
    if name in PROSE:
        if pd.api.types.is_float_dtype(column):  # whole numbers that became floats because some rows have none
            column = column.astype(object).map(_without_point)
        text = column.astype("str").where(column.notna(), None)
        return text.where(text.str.strip() != "", None)
    if not (pd.api.types.is_string_dtype(column) or column.dtype == object):
        return column
    bare, gaps = typed(column)
    if gaps:
        notes.append(f"{path.name}: {gaps} of {len(column)} values of {name} are a dash or the like: missing")
    return bare


def text_column(parts: Sequence[pa.Array], name: str) -> pd.Series:
    """As `side_column` of cells that are texts or None, some of them not blank, given in parts of large_string."""
    texts = pa.concat_arrays([blank_is_null(part) for part in parts])
    return pd.Series(pd.StringDtype(na_value=np.nan).__from_arrow__(texts), name=name)


def list_column(parts: Sequence[pa.Array], name: str, path: Path, notes: list[str]) -> pd.Series:
    """As `side_column` of cells that hold several values, given in parts of what `lists_in` made of them."""
    lists = pa.chunked_array(parts, pa.list_(pa.string()))
    if (pc.max(pc.list_value_length(lists)).as_py() or 0) <= 1:
        _note_other_separator(pc.list_flatten(lists).to_pylist(), name, SEPARATOR, path, notes)
    return pd.Series(pd.arrays.ArrowExtensionArray(lists), name=name)


def lists_in(cells: Iterable[Any], separator: str) -> list[list[str]]:
    """The values of each cell, see `values_of`; none where the cell is missing."""
    return [[] if _absent(cell) else values_of(cell, separator) for cell in cells]


def texts_of(cells: pd.Series) -> pd.Series:
    """Each cell as one text, "" where nothing is; see `text_of`."""
    return pd.Series([text_of(cell) for cell in cells], dtype="str", name=cells.name)


def _without_point(value: float) -> str | None:
    return None if pd.isna(value) else str(int(value)) if value.is_integer() else repr(value)


def _note_other_separator(filled: list[str], name: str, separator: str, path: Path, notes: list[str]) -> None:
    """A line where a list column of one value each looks as if another separator stood in it."""
    for other in (",", ";", "|", "/", ">"):
        holding = [value for value in filled if other in value]
        if (
            other != separator.strip()
            and holding
            and (len(holding) > len(filled) / 2 or _joined(holding, filled, other))
        ):
            notes.append(
                f"{path.name}: no {name} are separated by {separator!r}, and {len(holding):,} hold {other!r}, e.g. "
                f"{holding[0][:40]!r}; see list_separator"
            )
            return


def _joined(holding: list[str], filled: list[str], other: str) -> bool:
    """Whether values are others' values put together: most of what stands between the signs is a value by itself."""
    alone = {value.strip() for value in filled if other not in value}
    parts = [part.strip() for value in holding for part in value.split(other)]
    return sum(part in alone for part in parts) > len(parts) / 2


def _numeric_lists(cells: pd.Series) -> bool:
    """Vectors: lists of numbers and nothing else."""
    there = [cell for cell in cells if cell is not None]
    return any(there) and all(
        isinstance(cell, list)
        and all(isinstance(p, (NumberText, int, float)) and not isinstance(p, bool) for p in cell)
        for cell in there
    )


def _absent(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value))
