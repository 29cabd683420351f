"""Separated text as columns of strings, whatever the fields look like. Types are for those who know what they want.

Quoting is RFC 4180's or none. Arrow's parser takes a quotation mark that is never closed for the beginning of a field
that ends with the file, so quoting is checked before: what follows a closing mark is a separator or a line's end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.csv as pc

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError
from recsys.data.readers.contents import FETCH, Buffer, line_of, refuse_encoding
from recsys.data.readers.nothing import NOTHING

UNIT = "\x1f"
"""Stands in for a separator of several characters: the parser takes one."""
EVERY_FIELD = "around every field"
"""How quoting is told by which a writer put marks around values, but not around the header."""
WITH_COMMA = "around every field with a comma"
"""How it is told of spreadsheets, which quote so where tabs separate, too."""
_DOUBLED = r'^"(?:[^"]|"")*""(?:[^"]|"")*"$'
"""A field that was quoted because it holds quotation marks, which are doubled; one that only begins with one is not."""
_QUOTED = r'^\s*"(?:[^"]|"")*"\s*$'
"""A field between marks, whatever is between them."""
_HOLDING_COMMA = r'^\s*"(?:[^"]|"")*(?:,|"")(?:[^"]|"")*"\s*$'
"""One that stands between marks because it holds a comma or a mark, whatever separates the fields."""
_AFTER_BLANKS = r'^\s+"(?:[^"]|"")*"\s*$'
"""A field between marks that a blank keeps from being quoted: a, "b"."""
_APOSTROPHES = r"^\s*'(?:[^']|'')*'\s*$"
_MARKS = {'"': "a quotation mark", "'": "an apostrophe"}
_SEPARATOR_LINE = re.compile(rb'"?sep=(.)"?(?:\r\n|\r|\n)')
_ROW = "mend the row: every row has as many fields as the header, and fields that hold the separator are quoted"


@dataclass(frozen=True)
class Layout:
    """How fields are told apart.

    Args:
        separator: one or more characters.
        quoted: whether a field that begins with a mark ends with the next single one (RFC 4180).
        escaped: whether a backslash makes the mark after it a part of a quoted field.
        header: whether the first line names the columns.
        before: lines of the file that stand before those that are read.
        mark: what stands around quoted fields, a quotation mark or an apostrophe.
    """

    separator: str
    quoted: bool
    header: bool = True
    escaped: bool = False
    before: int = 0
    mark: str = '"'

    @property
    def first_line(self) -> int:
        """The line number of the first row."""
        return self.before + (2 if self.header else 1)


def header_fields(data: Buffer, layout: Layout) -> list[str]:
    """The names in the first line that is not empty, without blanks around them."""
    line = _first_line(data)[0].decode("utf-8", errors="replace")
    fields = line.split(layout.separator)
    if layout.quoted and layout.mark in line:
        row = pc.read_csv(
            pa.BufferReader(line.encode() + b"\n"),
            pc.ReadOptions(autogenerate_column_names=True),
            _parsing(layout),
            _text(None),
        )
        fields = [str(column[0].as_py()) for column in row.columns]
    return [field.strip() for field in fields]


def without_separator_line(data: Buffer) -> tuple[Buffer, str | None]:
    """The text without the line `sep=;` that Excel puts before the header, and the separator it names."""
    line = _SEPARATOR_LINE.match(data)
    return (data[line.end() :], line[1].decode("ascii", "replace")) if line else (data, None)


def header_is_quoted(data: Buffer, separator: str, mark: str = '"') -> bool:
    """Whether every name in the header stands between marks, as programs write that quote all text."""
    fields = _first_line(data)[0].decode("utf-8", errors="replace").split(separator)
    return all(len(field) > 1 and field[0] == field[-1] == mark for field in map(str.strip, fields))


def between_apostrophes(column: pa.ChunkedArray, data: Buffer) -> bool:
    """Whether each field of a column that says something stands between apostrophes.

    Args:
        column: text, as `read_delimited` gives it.
        data: the file.
    """
    if data.find(b"'") < 0:
        return False
    first = next((text for text in column.slice(0, 1000).to_pylist() if text not in ("", *NOTHING)), "")
    if not re.fullmatch(_APOSTROPHES, first):
        return False
    nothing = _count(compute.is_in(column, value_set=pa.array(("", *NOTHING))))
    return _count(compute.match_substring_regex(column, _APOSTROPHES)) == len(column) - nothing


def unquoted(column: pa.ChunkedArray, data: Buffer, layout: Layout) -> tuple[pa.ChunkedArray, int, str]:
    """A column without marks that are quoting all the same, how many fields have some, and how they are told.

    Where there is no quoting, marks around every field of the column, around those with a comma and no others, or that
    open and close a field and are doubled inside; where there is, marks after a blank. Marks around most fields,
    but not all, stay: they are told by "".

    Args:
        column: text, as `read_delimited` gives it.
        data: the file.
        layout: as it was read.
    """
    if layout.escaped or data.find(b'"') < 0:  # one letter is found several times as fast as three
        return column, 0, ""
    if layout.quoted and data.find(layout.separator.encode() + b' "') < 0:
        return column, 0, ""
    if layout.quoted:
        quoted, told = compute.match_substring_regex(column, _AFTER_BLANKS), "after a blank"
    else:
        quoted, told = _quoting(column)
    count = _count(quoted)
    if not count or not told:
        return column, count, ""
    inside = compute.utf8_slice_codeunits(compute.utf8_trim_whitespace(column), 1, -1)
    return compute.if_else(quoted, compute.replace_substring(inside, '""', '"'), column), count, told


def _quoting(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str]:
    """Which fields of an unquoted column stand between marks that are quoting, and how it is told; "": they are not."""
    around = compute.match_substring_regex(column, _QUOTED)
    count = _count(around)
    if not count:
        return around, ""
    texts = len(column) - _count(compute.is_in(column, value_set=pa.array(("", *NOTHING))))
    if count >= texts:
        return around, EVERY_FIELD
    holding = compute.match_substring_regex(column, _HOLDING_COMMA)
    if _count(holding) == count == _count(compute.match_substring_regex(column, '[,"]')):
        return holding, WITH_COMMA
    doubled = compute.match_substring_regex(column, _DOUBLED)
    if 2 * count > texts and not _count(doubled):
        return around, ""
    return doubled, "doubled inside"


def _count(truths: pa.ChunkedArray) -> int:
    return int(compute.sum(truths).as_py() or 0)


def read_delimited(
    data: Buffer,
    path: Path,
    layout: Layout,
    names: list[str],
    wanted: list[str] | None = None,
    *,
    lines: bool = False,
    notes: list[str] | None = None,
) -> pa.Table:
    """The rows as columns of strings; an empty field is "".

    Args:
        data: UTF-8 text, see `contents`.
        path: names the file in errors.
        layout: how fields are told apart.
        names: of the columns, one per field.
        wanted: the columns to return; None: all.
        notes: get a line where quoted fields hold several lines, which a mark that is not closed may cause.
        lines: name the line of a bad row, and let no empty line pass; else the row among the data rows.

    Raises:
        DataError: no rows, a row with another number of fields, a broken quote, or text that is not UTF-8.
    """
    if layout.quoted:
        several = refuse_broken_quotes(data, path, layout)
        if several and notes is not None:
            holding = counted(len(several), "quoted field holds", "quoted fields hold")
            notes.append(f"{path.name}: {holding} several lines, the first in line {several[0]}")
    start = _first_line(data)[1] if layout.header else 0
    body: Buffer | memoryview = memoryview(data)[start : _end_of_text(data)]
    if not len(body):
        raise DataError("the file has a header and no rows", where=path, remedy=FETCH)
    separator = layout.separator
    if len(separator) > 1:
        separator, body = UNIT, bytes(body).replace(separator.encode(), UNIT.encode())
    parsed = replace(layout, separator=separator, header=False)
    reading = pc.ReadOptions(column_names=names, block_size=4 << 20)
    parsing = _parsing(parsed, multiline=layout.quoted and data.find(layout.mark.encode()) >= 0, empty_lines=lines)
    try:
        table = pc.read_csv(pa.BufferReader(pa.py_buffer(body)), reading, parsing, _text(names, wanted))
    except pa.ArrowInvalid as error:
        refuse_encoding(data, path)
        bad = _bad_row(body, path, parsed, layout, names, lines, error)
        between = layout.separator.encode()
        if layout.quoted and data.find(between + b" " + layout.mark.encode()) >= 0:
            bad.remedy = "leave no blank before the quotation mark of a field, else it is a character like any other"
        elif layout.mark == '"' and not lines and max(data.find(between + b"'"), data.find(b"'" + between)) >= 0:
            bad.remedy = f'where apostrophes stand around fields, set source.table.quote: "\'"; else {_ROW}'
        elif not layout.quoted and not lines and data.find(b'"') >= 0:
            bad.remedy = f"where quotation marks stand around fields, set source.table.quoting: csv; else {_ROW}"
        raise bad from None
    if lines and len(names) > 1:
        _refuse_empty_line(table, path, layout)
    return table


def refuse_broken_quotes(data: Buffer, path: Path, layout: Layout) -> list[int]:
    """The lines where fields of several lines begin.

    Raises:
        DataError: the quotation marks of a field do not close it; names the line.
    """
    place = data.find(layout.mark.encode())
    if place < 0:
        return []
    if not layout.escaped and _marks_pair_up(data, layout):
        return []
    several: list[int] = []
    between = re.escape(layout.separator.encode())
    inside = rb'(?:[^"\\]++|""|\\.)*+' if layout.escaped else rb'(?:[^"]++|"")*+'
    # A quotation mark opens a field only at the field's beginning; the whole field is one match, its end the group.
    begin, end = rb"(?:^|(?<=[\r\n])|(?<=" + between + rb'))"', rb'("(?=' + between + rb"|[\r\n]|\Z))?"
    quoted = re.compile((begin + inside + end).replace(b'"', layout.mark.encode()), re.DOTALL)
    for field in quoted.finditer(data):
        if field[1] is None:
            line = line_of(data, field.start())
            raise DataError(
                f"{_MARKS[layout.mark]} opens a field that nothing closes: {_excerpt(data, field.start())}",
                where=f"{path}:{line}",
                remedy=f"close the field, write a mark inside a field twice ({2 * layout.mark}), or set "
                f"source.table.quoting: none, or escaped where fields hold \\{layout.mark} for a mark",
            )
        if b"\n" in field[0]:
            several.append(line_of(data, field.start()) if not several else 0)
    return several


def _marks_pair_up(data: Buffer, layout: Layout) -> bool:
    """Whether every mark opens or closes a field of one line, or is one of two that stand for a mark inside it.

    Tells common files right in a quarter of the time; False says only that each field has to be looked at.
    """
    place = _places(data, layout.mark.encode())
    if len(place) % 2:
        return False
    letters = np.frombuffer(data, np.uint8)
    between = np.frombuffer(layout.separator.encode() + b"\r\n", np.uint8)
    opening, closing = place[::2], place[1::2]
    inner = np.append(False, opening[1:] == closing[:-1] + 1)  # "" inside a field: one closes, the next opens
    begins = inner | (opening == 0) | np.isin(letters[opening - 1], between)
    ends = np.append(inner[1:], False) | (closing == len(data) - 1)
    ends |= np.isin(letters[np.minimum(closing + 1, len(data) - 1)], between)
    if not (begins.all() and ends.all()):
        return False
    lines = _places(data, b"\n")
    return bool((np.searchsorted(lines, opening) == np.searchsorted(lines, closing)).all())


def _places(data: Buffer, letter: bytes, step: int = 1 << 24) -> np.ndarray:
    """Where a byte stands, a part of the file at a time."""
    letters = np.frombuffer(data, np.uint8)
    parts = [np.flatnonzero(letters[at : at + step] == letter[0]) + at for at in range(0, len(letters), step)]
    return np.concatenate(parts)


def _parsing(layout: Layout, *, multiline: bool = False, empty_lines: bool = False) -> pc.ParseOptions:
    return pc.ParseOptions(
        delimiter=layout.separator,
        quote_char=layout.mark if layout.quoted else False,
        escape_char="\\" if layout.escaped else False,
        newlines_in_values=multiline,
        ignore_empty_lines=not empty_lines,
    )


def _text(names: list[str] | None, wanted: list[str] | None = None) -> pc.ConvertOptions:
    types = None if names is None else dict.fromkeys(names, pa.string())
    return pc.ConvertOptions(column_types=types, strings_can_be_null=False, include_columns=wanted or [])


def _first_line(data: Buffer) -> tuple[bytes, int]:
    """The first line that is not empty, without its end, and where the next one begins."""
    line = re.compile(rb"[^\r\n]+").search(data)
    if line is None:
        return b"", len(data)
    end = re.compile(rb"\r\n|\r|\n").match(data, line.end())
    return line[0], end.end() if end else line.end()


def _end_of_text(data: Buffer) -> int:
    """Where the last line that is not empty ends."""
    end = len(data)
    while end and data[end - 1 : end] in (b"\r", b"\n"):
        end -= 1
    return end


def _refuse_empty_line(table: pa.Table, path: Path, layout: Layout) -> None:
    empty = np.logical_and.reduce([np.asarray(compute.equal(column, "")) for column in table.columns])
    if empty.any():
        raise DataError(
            f"expected {table.num_columns} fields separated by {layout.separator!r}, found 1: an empty line",
            where=f"{path}:{int(np.argmax(empty)) + layout.first_line}",
            remedy=_ROW,
        )


def _bad_row(
    body: Buffer | memoryview,
    path: Path,
    parsed: Layout,
    layout: Layout,
    names: list[str],
    lines: bool,
    error: pa.ArrowInvalid,
) -> DataError:
    """The error about the first row with another number of fields, found by reading again, one row after the other."""
    first: list[pc.InvalidRow] = []

    def note(row: pc.InvalidRow) -> str:
        first.append(row)
        return "error"

    parsing = _parsing(parsed, multiline=parsed.quoted, empty_lines=lines)
    parsing.invalid_row_handler = note
    try:
        reading = pc.ReadOptions(column_names=names, use_threads=False)
        pc.read_csv(pa.BufferReader(pa.py_buffer(body)), reading, parsing, _text(names, names[:1]))
    except pa.ArrowInvalid as again:
        error = again
    if not first:
        return DataError(f"the file cannot be read as csv: {error}", where=path, remedy=_ROW)
    number = int(first[0].number or 1)
    where = f"{path}:{number + layout.first_line - 1}" if lines else f"{path}, data row {number}"
    remedy = "check that the format in the config is that of the file" if lines and number <= 2 else _ROW
    if not lines and number == first[0].actual_columns == 1:
        remedy = f"where something else separates the fields, name it in source.table.separator; else {_ROW}"
    return DataError(
        f"{'' if lines else 'the file cannot be read as csv: '}expected {len(names)} fields separated by "
        f"{layout.separator!r} ({', '.join(names[:12])}), "
        f"found {first[0].actual_columns}",
        where=where,
        remedy=remedy,
    )


def _excerpt(data: Buffer, place: int) -> str:
    return repr(data[place : place + 40].split(b"\n")[0].decode("utf-8", errors="replace"))
