"""One file of your own as columns by its own names: separated text, JSON or Parquet, compressed or not.

Columns of text files are text. Those of JSON are cells as they stand, numbers as `NumberText`; those of Parquet keep
their types, lists as objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError
from recsys.data.options import TableOptions
from recsys.data.readers.contents import FETCH, Buffer, contents, is_encoding, line_of, suffixes
from recsys.data.readers.delimited import (
    Layout,
    between_apostrophes,
    header_fields,
    header_is_quoted,
    read_delimited,
    unquoted,
    without_separator_line,
)
from recsys.data.readers.fields import require_columns
from recsys.data.readers.json_records import Records, read_flat, read_records
from recsys.data.readers.nested import at_path

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t", ".dat": "\t"}
"""What the name of a text file says about it; a header that shows something else counts more."""
POSSIBLE = (",", "\t", ";", "|", "::", " ")
_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]")
"""U+0080 to U+009F in UTF-8."""
_MARKED = re.compile('"[^"]+"')
JSON = (".json", ".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
OTHERWISE = {
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar", ".z", ".lzma"), "unpack it"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save the sheet as CSV in UTF-8"),
    **dict.fromkeys((".feather", ".arrow", ".orc", ".h5", ".hdf5", ".pkl", ".sas7bdat", ".dta"), "write it as Parquet"),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3", ".sql"), "export the table as CSV"),
}
"""What to do with other files, by the ending of their name."""
NAMES = "set the column names under source.table; items_id and users_id where `items` and `users` call them otherwise"


def load_columns(
    path: Path,
    options: TableOptions,
    required: list[str],
    notes: list[str],
    *,
    flat: tuple[list[str], list[str]] | None = None,
    asked: Iterable[str] = (),
) -> pd.DataFrame:
    """The columns of a file by its own names: text as str, cells of JSON and Parquet as objects where they are lists.

    Args:
        path: the file.
        options: how it is written.
        required: columns it must have.
        notes: gets a line on what was understood or left out.
        flat: ids and numbers, where nothing but `required` is read; None: all columns but nested ones are.
        asked: nested columns and paths that are read all the same.
    """
    kind, packed = suffixes(path)
    wanted = required if flat else None
    if kind in PARQUET and not packed:
        frame = _parquet(path, required, wanted, [*asked], notes)
    elif kind in JSON:
        frame = _json(path, options, required, flat, asked, notes)
    elif kind in SEPARATORS:
        frame = _separated(path, options, kind, required, wanted, notes)
    else:
        text = f"use one of {', '.join((*SEPARATORS, *JSON, *PARQUET))}; text also as .gz, .bz2, .xz or .zst"
        raise DataError(
            f"files ending in {(kind + packed) or path.name!r} are not read",
            where=path,
            remedy=f"{OTHERWISE[kind]}: {text}" if kind in OTHERWISE else text,
        )
    if frame.empty:
        raise DataError("the file has no rows", where=path, remedy=FETCH)
    return frame


def _separated(
    path: Path, options: TableOptions, kind: str, required: list[str], wanted: list[str] | None, notes: list[str]
) -> pd.DataFrame:
    data, _ = without_separator_line(contents(path, options.encoding))
    notes += _note_controls(data, path, options.encoding)
    layout, names = layout_and_names(data, path, options, kind, required)
    if layout.separator != SEPARATORS[kind] and options.separator is None and layout.header:
        notes.append(f"{path.name}: the header shows that {layout.separator!r} separates the fields")
    remedy = (
        f"{NAMES}, and check source.table.separator; a file without a header gets its names from source.table.columns"
    )
    require_columns(required, names, path, remedy)
    unnamed = [name if name else f"\0{place}" for place, name in enumerate(names)]
    _refuse_repeated(names, wanted, path)
    table = read_delimited(data, path, layout, unnamed, wanted, notes=notes)
    columns = [name for name in table.column_names if not name.startswith("\0")]  # pandas' index has no name
    table = table.select(columns)
    if options.quoting == "auto":
        table = _unquoted(table, data, layout, path, notes)
    return table.to_pandas()


def _note_controls(data: Buffer, path: Path, encoding: str) -> list[str]:
    """A line on a file that was read as latin-1 and holds what is no letter there: dashes and quotes of Windows."""
    if not is_encoding(encoding, "iso8859-1") or not (found := _CONTROLS.search(data)):
        return []
    there = f"the first in line {line_of(data, found.start())}"
    return [
        f"{path.name}: bytes 80 to 9F are control characters in {encoding}, {there}; in Windows' files they are dashes "
        "and quotes: source.table.encoding: cp1252"
    ]


def _unquoted(table: pa.Table, data: Buffer, layout: Layout, path: Path, notes: list[str]) -> pa.Table:
    """The table without marks that are quoting although the layout has none there; `notes` get a line per column."""
    if layout.mark == "'":
        return table
    apostrophes = [name for name in table.column_names if between_apostrophes(table[name], data)]
    if apostrophes:
        what = 'kept; source.table.quote: "\'" removes them'
        notes.append(f"{path.name}: all values of {', '.join(apostrophes)} stand between apostrophes: {what}")
    for place, name in enumerate(table.column_names):
        column, count, told = unquoted(table[name], data, layout)
        if not count:
            continue
        table = table.set_column(place, name, column)
        what = "removed; source.table.quoting: none keeps them"
        if not told:
            told, what = "not around all of them", "kept; source.table.quoting: csv removes them"
        notes.append(f"{path.name}: {counted(count, 'value')} of {name} stood between quotation marks ({told}): {what}")
    return table


def layout_and_names(
    data: Buffer, path: Path, options: TableOptions, kind: str, required: Iterable[str]
) -> tuple[Layout, list[str]]:
    """How the fields of a text file are told apart, and the names of its columns.

    Args:
        data: the file, or its beginning.
        path: its name, by which `options.columns` may give the names.
        options: how it is written.
        kind: the ending of its name, one of `SEPARATORS`.
        required: columns it must have: the separator is the one by which the header has most of them.
    """
    data, named = without_separator_line(data)
    own_names, usual = options.columns_of(path), SEPARATORS[kind]
    if own_names is not None:
        return _layout(options.separator or named or usual, options, header=False), list(own_names)
    only = options.separator or named
    separators = [only] if only else [*dict.fromkeys((usual, *POSSIBLE))]
    layouts = [_layout(separator, options, header=True) for separator in separators]
    if options.quoting == "auto":  # tabs alone quote nothing, unless the header does
        layouts = [_as_header_is_quoted(layout, data) for layout in layouts]
    layouts = [layout for layout in layouts if only or len(layout.separator) == 1 or not layout.quoted]
    headers = [header_fields(data, layout) for layout in layouts]
    if options.quoting == "auto":  # some names between marks, others not: no mark is part of a name
        headers = [[name[1:-1] if _MARKED.fullmatch(name) else name for name in header] for header in headers]
    wanted = set(required)
    best = max(range(len(layouts)), key=lambda place: len(wanted & set(headers[place])))
    return layouts[best], headers[best]


def _as_header_is_quoted(layout: Layout, data: Buffer) -> Layout:
    """The layout with quoting where all names of the header show it: by marks among tabs, by apostrophes anywhere."""
    if len(layout.separator) == 1 and header_is_quoted(data, layout.separator, "'"):
        return replace(layout, quoted=True, mark="'")
    return replace(layout, quoted=layout.quoted or (layout.separator == "\t" and header_is_quoted(data, "\t")))


def _layout(separator: str, options: TableOptions, *, header: bool) -> Layout:
    auto = options.quote == "'" or (options.quoting == "auto" and separator != "\t" and len(separator) == 1)
    quoted = auto or options.quoting in ("csv", "escaped")
    return Layout(separator, quoted, header, options.quoting == "escaped", mark=options.quote)


def _refuse_repeated(names: list[str], wanted: list[str] | None, path: Path) -> None:
    twice = [name for name in names if name and names.count(name) > 1]
    if twice and wanted is None:
        raise DataError(f"the header has the column {twice[0]!r} twice", where=f"{path}:1", remedy="rename one of them")


def _json(
    path: Path,
    options: TableOptions,
    required: list[str],
    flat: tuple[list[str], list[str]] | None,
    asked: Iterable[str],
    notes: list[str],
) -> pd.DataFrame:
    data = contents(path, options.encoding)
    if flat:
        frame = read_flat(data, path, *flat)
        if frame is not None:
            return frame
    records = read_records(data, path, required if flat else None, [*required, *asked])
    there = [name for name, cells in records.columns.items() if name in records.present or _leads_somewhere(cells)]
    if records.rows == 1:
        _refuse_one_object(read_records(data, path), required, path)
    if records.rows and not set(required) <= set(there):
        require_columns(required, [*read_records(data, path).columns], path, NAMES)
    if records.literal:
        notes.append(f"{path.name}: the lines are Python literals, not JSON")
    _note_left_out(path, [name for name in records.left_out if name not in {n.split(".")[0] for n in asked}], notes)
    return pd.DataFrame({name: pd.Series(records.columns[name], dtype=object) for name in there})


def _refuse_one_object(records: Records, required: list[str], path: Path) -> None:
    """Raises `DataError` for a file that is one object around its rows: {"data": [...]}, or an object of columns."""
    cells = {name: records.columns.get(name, [None])[0] for name in records.present}
    inside = [name for name, cell in cells.items() if name in records.left_out or isinstance(cell, (dict, list))]
    by_column = set(required) <= set(inside)
    if by_column or (inside and not set(required) & records.present):
        keys = ", ".join(sorted(records.present)[:8]) + (", ..." if len(records.present) > 8 else "")
        raise DataError(
            f"the file is one object with the keys {keys}, expected one object a row",
            where=path,
            remedy="write one object a line, or a list of objects"
            + ("; pandas: to_json(orient='records', lines=True)" if by_column else ", which lies inside this one"),
        )


def _leads_somewhere(cells: list[Any]) -> bool:
    return any(cell is not None and cell != [] for cell in cells)


def _parquet(
    path: Path, required: list[str], wanted: list[str] | None, asked: list[str], notes: list[str]
) -> pd.DataFrame:
    try:
        schema = pq.read_schema(path)
        inside = {name: name.split(".")[0] for name in [*required, *asked] if name not in schema.names}
        paths = {name: root for name, root in inside.items() if root in schema.names}
        require_columns(required, [*schema.names, *paths], path, NAMES)
        named = {*required, *asked, *paths.values()}
        names = [name for name in (wanted or schema.names) if name not in paths]
        nested = [name for name in names if name not in named and _holds_objects(schema.field(name).type)]
        names = [name for name in names if name not in nested]
        table = pq.read_table(path, columns=[*dict.fromkeys([*names, *paths.values()])])
        kept = [name for name in names if name in {*required, *asked} or name not in named]
        bytes_ = [name for name in kept if _holds_bytes(table[name])]
        _refuse_bytes([name for name in bytes_ if name in required], path)
        frame = {name: _plain_column(table[name]) for name in kept if name not in bytes_}
    except (pa.ArrowException, OSError) as error:
        cause = str(error).split("\n")[0]
        raise DataError(f"the file cannot be read as parquet: {cause}", where=path, remedy=FETCH) from None
    _note_left_out(path, nested, notes)
    if bytes_:
        notes.append(f"{path.name}: columns of bytes that are no text left out: {', '.join(bytes_)}")
    for name, root in paths.items():
        cells = [at_path(cell, name.split(".")[1:]) for cell in _cells(table[root])]
        if _leads_somewhere(cells):
            frame[name] = pd.Series(cells, dtype=object)
    return pd.DataFrame(frame, index=pd.RangeIndex(table.num_rows))


def _plain_column(column: pa.ChunkedArray) -> pd.Series:
    """Text, whole numbers with gaps, numbers, truth values, datetimes or, as objects, lists of one Parquet column."""
    kind = column.type
    if pa.types.is_nested(kind):
        return pd.Series(_cells(column), dtype=object)
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_decimal(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        column = column.cast(pa.string())
    elif pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s"))
    elif pa.types.is_integer(kind) and column.null_count:
        return column.to_pandas(integer_object_nulls=True).astype("Int64")
    elif pa.types.is_boolean(kind) and column.null_count:
        return column.to_pandas().astype("boolean")
    return column.to_pandas()


def _cells(column: pa.ChunkedArray) -> list[Any]:
    """Values as Python has them; a map is an object by its keys, of which the last counts where one occurs twice."""
    return column.to_pylist(maps_as_pydicts="lossy")


def _holds_bytes(column: pa.ChunkedArray) -> bool:
    """Whether a column holds pictures, say, and no text."""
    kind = column.type
    if pa.types.is_fixed_size_binary(kind):
        return True
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return False
    try:
        column.cast(pa.large_string())
    except pa.ArrowInvalid:
        return True
    return False


def _refuse_bytes(names: list[str], path: Path) -> None:
    """Raises `DataError` for ids, ratings or times in bytes: a UUID's sixteen are no text to show or to join by."""
    if names:
        raise DataError(
            f"{names[0]} holds bytes that are no text", where=path, remedy="write the column as text, ids in hex say"
        )


def _holds_objects(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _holds_objects(kind.value_type)
    return pa.types.is_nested(kind)


def _note_left_out(path: Path, names: list[str], notes: list[str]) -> None:
    if names:
        notes.append(
            f"{path.name}: nested columns left out: {', '.join(sorted(names))}; a path keeps one, see `rename`"
        )
