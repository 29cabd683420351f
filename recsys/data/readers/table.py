"""Your own files: separated text, JSON or Parquet. All is read as text; what is numeric is converted here, by column.

Nothing depends on how the first rows look: ids and titles are text whatever they look like, and the type of a side
column is decided when all of it is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from artefacts.errors import DataError
from recsys.data.options import SourceOptions, TableOptions
from recsys.data.readers.base import RawData, require_files, unique_ids
from recsys.data.readers.contents import FETCH, contents, suffixes
from recsys.data.readers.delimited import Layout, header_fields, read_delimited
from recsys.data.readers.fields import ids_of, nearest, numbers_of, require_columns, typed, years_of
from recsys.data.readers.json_records import read_flat, read_records
from recsys.data.readers.nested import NumberText, at_path, text_of, values_of
from recsys.data.readers.times import Rows, seconds_of

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t", ".dat": "\t"}
"""What the name of a text file says about it; a header that shows something else counts more."""
POSSIBLE = (",", "\t", ";", "|", "::", " ")
JSON = (".json", ".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
RESERVED = {"user", "item", "source_id"}
TEXT = {"title", "description", "profile"}
"""Side columns that are text whatever they look like."""
NAMES = "set the column names under source.table; items_id and users_id where `items` and `users` call them otherwise"
ROWS = Rows()


def read(source: SourceOptions, folder: Path) -> RawData:
    """Reads the files `source.table` names. Ids are kept as text, so "007", "7" and "7.0" differ."""
    options = source.table or TableOptions()
    names = [name for name in (options.interactions, options.items, options.users) if name]
    files = require_files(folder, names, "set source.path and the file names under source.table")
    notes: list[str] = []
    interactions = _interactions(options, files[options.interactions], notes)
    sides = {
        "items": _Side("item", options.items_id or options.item, options, files.get(options.items or "")),
        "users": _Side("user", options.users_id or options.user, options, files.get(options.users or "")),
    }
    frames = {about: side.read(notes) for about, side in sides.items()}
    _require_named(options, list(sides.values()), folder)
    tables = {about: side.path for about, side in sides.items() if side.path is not None}
    tables["interactions"] = files[options.interactions]
    return RawData(interactions, frames["items"], frames["users"], files, tables=tables, notes=tuple(notes))


def _interactions(options: TableOptions, path: Path, notes: list[str]) -> pd.DataFrame:
    ids = [options.user, options.item]
    wanted = [*dict.fromkeys([*ids, *(name for name in (options.rating, options.timestamp) if name)])]
    frame = _load(path, options, wanted, notes, flat=(ids, wanted[len(ids) :]))
    out = {}
    for about, name in (("user", options.user), ("item", options.item)):
        out[about] = _ids(frame[name], path, notes)
    _refuse_second_header(out, options, path)
    if options.rating:
        out["rating"] = pd.Series(numbers_of(frame[options.rating], path, ROWS).astype(np.float32))
    if options.timestamp:
        times = seconds_of(frame[options.timestamp], path, ROWS, options.timestamp_format)
        out["timestamp"] = pd.Series(times.seconds)
        if times.missing.any():
            out["timestamp"] = out["timestamp"].astype("Int64").mask(times.missing)
        notes += [f"{path.name}: {times.note}"] if times.note else []
    return pd.DataFrame(out)


def _refuse_second_header(out: dict[str, pd.Series], options: TableOptions, path: Path) -> None:
    """Files that were joined bring their headers along, and a user called user_id would be one more user."""
    again = ((out["user"] == options.user) & (out["item"] == options.item)).to_numpy()
    if again.any():
        raise DataError(
            "the row repeats the header",
            where=ROWS.where(path, int(np.argmax(again))),
            remedy="leave out the headers of the files that were joined",
        )


@dataclass
class _Side:
    """The table of items or of users, and the names its file has."""

    about: str
    id_column: str
    options: TableOptions
    path: Path | None
    names: list[str] = field(default_factory=list)
    """The columns of the file by its own names, and the paths that lead to something."""

    def read(self, notes: list[str]) -> pd.DataFrame:
        if self.path is None:
            return pd.DataFrame({self.about: pd.Series(dtype=str)})
        asked = [*self.options.rename, *self.options.lists]
        frame = _load(self.path, self.options, [self.id_column], notes, asked=asked)
        self.names = list(frame.columns)
        out = {self.about: _ids(frame[self.id_column], self.path, notes)}
        for column in self.names:
            if column == self.id_column or not column:
                continue
            ours = self.options.rename.get(column, column)
            if ours in RESERVED or ours in out:
                raise DataError(
                    f"the side column {ours!r} is a name Augrec uses or occurs twice",
                    where=self.path,
                    remedy=f"give it another name, e.g. source.table.rename: {{{column}: {ours}_2}}",
                )
            out[ours] = self._typed(frame[column].rename(ours), notes)
        return unique_ids(pd.DataFrame(out), self.about, self.path, notes)

    def _typed(self, column: pd.Series, notes: list[str]) -> pd.Series:
        assert self.path is not None
        name = str(column.name)
        if name in self.options.lists:
            lists = _lists(column, self.options.list_separator)
            _note_other_separator(lists, name, self.options.list_separator, self.path, notes)
            return lists
        cells = column if column.dtype == object else None
        if cells is not None and _numeric_lists(cells):
            return cells.map(lambda cell: [float(part) for part in cell or []])
        if cells is not None and name != "year":
            numbers = all(isinstance(cell, NumberText) for cell in cells if cell is not None)
            booleans = all(isinstance(cell, bool) for cell in cells if cell is not None)
            column = _texts(cells)
            if not (numbers or booleans):  # what JSON writes as text is text
                return column.where(column.str.strip() != "", None)
        if name == "year":
            years, odd = years_of(_texts(cells) if cells is not None else column)
            if odd:
                notes.append(f"{self.path.name}: {len(odd)} different values of year hold no year, e.g. {odd[0]!r}")
            return years
        if name in TEXT:
            if pd.api.types.is_float_dtype(column):  # whole numbers that became floats because some rows have none
                column = column.astype(object).map(_without_point)
            text = column.astype("str").where(column.notna(), None)
            return text.where(text.str.strip() != "", None)
        if not (pd.api.types.is_string_dtype(column) or column.dtype == object):
            return column
        values, gaps = typed(column)
        if gaps:
            notes.append(f"{self.path.name}: {gaps} of {len(column)} values of {name} are a dash or the like: missing")
        return values


def _require_named(options: TableOptions, sides: list[_Side], folder: Path) -> None:
    """Raises where `rename` or `lists` name a column that neither file has."""
    read = [side for side in sides if side.path is not None]
    there = [name for side in read for name in side.names]
    ours = [*there, *options.rename.values()]
    keys = [(name, "rename", there) for name in options.rename if name not in there]
    if "lists" in options.model_fields_set:
        keys += [(name, "lists", ours) for name in options.lists if name not in ours]
    if not keys:
        return
    name, key, known = keys[0]
    near = nearest(name, known)
    files = " and ".join(str(side.path) for side in read)
    raise DataError(
        f"source.table.{key} names the column {name!r}, which is not there",
        where=files or folder,
        remedy=(f"did you mean {near!r}? " if near else "") + f"the columns are: {', '.join(map(str, known[:40]))}"
        if read
        else "name the file that has it: source.table.items or source.table.users",
    )


def _load(
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
        raise DataError(
            f"files ending in {(kind + packed) or path.name!r} are not read",
            where=path,
            remedy=f"use one of {', '.join((*SEPARATORS, *JSON, *PARQUET))}; text also as .gz, .bz2, .xz or .zst",
        )
    if frame.empty:
        raise DataError("the file has no rows", where=path, remedy=FETCH)
    return frame


def _separated(
    path: Path, options: TableOptions, kind: str, required: list[str], wanted: list[str] | None, notes: list[str]
) -> pd.DataFrame:
    data = contents(path, options.encoding)
    given = options.columns.get(path.name)
    usual = SEPARATORS[kind]
    layout, names = _layout(usual, options, header=given is None), list(given or ())
    if given is None:
        for separator in dict.fromkeys((usual, *POSSIBLE)) if options.separator is None else ():
            other = _layout(separator, options, header=True)
            if set(required) <= set(header_fields(data, other)):
                layout = other
                break
        names = header_fields(data, layout)
        if layout.separator != usual and options.separator is None:
            notes.append(f"{path.name}: the header shows that {layout.separator!r} separates the fields")
    remedy = (
        f"{NAMES}, and check source.table.separator; a file without a header gets its names from source.table.columns"
    )
    require_columns(required, names, path, remedy)
    unnamed = [name if name else f"\0{place}" for place, name in enumerate(names)]
    _refuse_repeated(names, wanted, path)
    table = read_delimited(data, path, layout, unnamed, wanted, notes=notes)
    columns = [name for name in table.column_names if not name.startswith("\0")]  # pandas' index has no name
    return table.select(columns).to_pandas()


def _layout(separator: str, options: TableOptions, *, header: bool) -> Layout:
    separator = options.separator or separator
    quoted = options.quoting == "csv" or (options.quoting == "auto" and separator != "\t" and len(separator) == 1)
    return Layout(separator, quoted, header)


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
    if records.rows and not set(required) <= set(there):
        require_columns(required, [*read_records(data, path).columns], path, NAMES)
    if records.literal:
        notes.append(f"{path.name}: the lines are Python literals, not JSON")
    _note_left_out(path, records.left_out, notes)
    return pd.DataFrame({name: pd.Series(records.columns[name], dtype=object) for name in there})


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
    except (pa.ArrowException, OSError) as error:
        cause = str(error).split("\n")[0]
        raise DataError(f"the file cannot be read as parquet: {cause}", where=path, remedy=FETCH) from None
    _note_left_out(path, nested, notes)
    frame = {name: _plain_column(table[name]) for name in names if name in {*required, *asked} or name not in named}
    for name, root in paths.items():
        cells = [at_path(cell, name.split(".")[1:]) for cell in table[root].to_pylist()]
        if _leads_somewhere(cells):
            frame[name] = pd.Series(cells, dtype=object)
    return pd.DataFrame(frame, index=pd.RangeIndex(table.num_rows))


def _plain_column(column: pa.ChunkedArray) -> pd.Series:
    """Text, whole numbers with gaps, numbers, truth values, datetimes or, as objects, lists of one Parquet column."""
    kind = column.type
    if pa.types.is_nested(kind):
        return pd.Series(column.to_pylist(), dtype=object)
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


def _holds_objects(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _holds_objects(kind.value_type)
    return pa.types.is_nested(kind)


def _note_left_out(path: Path, names: list[str], notes: list[str]) -> None:
    if names:
        notes.append(
            f"{path.name}: nested columns left out: {', '.join(sorted(names))}; a path keeps one, see `rename`"
        )


def _without_point(value: float) -> str | None:
    return None if pd.isna(value) else str(int(value)) if value.is_integer() else repr(value)


def _lists(column: pd.Series, separator: str) -> pd.Series:
    if column.dtype == object:
        cells: list[Any] = [None if _absent(cell) else cell for cell in column]
    else:
        cells = [None if _absent(cell) else str(cell) for cell in column]
    return pd.Series([[] if cell is None else values_of(cell, separator) for cell in cells], dtype=object)


def _note_other_separator(lists: pd.Series, name: str, separator: str, path: Path, notes: list[str]) -> None:
    """A line where a list column looks as if another separator stood in it: one value each, most with a comma."""
    filled = [values[0] for values in lists if values]
    if not filled or any(len(values) > 1 for values in lists):
        return
    for other in (",", ";", "|"):
        holding = [value for value in filled if other in value]
        if other != separator.strip() and len(holding) > len(filled) / 2:
            notes.append(
                f"{path.name}: no {name} are separated by {separator!r}, and {len(holding):,} hold {other!r}, e.g. "
                f"{holding[0][:40]!r}; see list_separator"
            )
            return


def _texts(cells: pd.Series) -> pd.Series:
    return pd.Series([text_of(cell) for cell in cells], dtype="str", name=cells.name)


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


def _ids(column: pd.Series, path: Path, notes: list[str]) -> pd.Series:
    if column.dtype == object:
        for place, cell in enumerate(column):
            if isinstance(cell, (list, dict)):
                raise DataError(
                    f"{column.name} is {str(cell)[:40]}, expected an id",
                    where=ROWS.where(path, place),
                    remedy="one object a row, ids as text or numbers; a path such as user.id reaches into an object",
                )
        column = pd.Series([None if cell is None else text_of(cell) for cell in column], dtype="str", name=column.name)
    ids, stripped = ids_of(column, path, ROWS)
    if stripped:
        notes.append(
            f"{path.name}: {stripped:,} of {len(ids):,} values of {column.name} had blanks around them: removed"
        )
    return ids
