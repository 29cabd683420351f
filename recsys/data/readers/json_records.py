"""JSON lines, a JSON list of objects, or one Python literal a line (Amazon 2014), as columns of cells.

Numbers stay as they are written, so ids keep their digits; types that change from row to row (a text here, a list
there) are no trouble, because no type is inferred. A part of the file is parsed at a time, and columns that nobody asks
for are dropped with it.
"""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.json as pj

from augrec.artefacts.errors import DataError
from augrec.artefacts.visible import without_surrogates
from recsys.data.readers.blocks import numbered_lines
from recsys.data.readers.contents import FETCH, Buffer, refuse_encoding
from recsys.data.readers.fields import nearest
from recsys.data.readers.nested import NumberText, at_path, is_nested, literal

CHUNK = 20_000
"""Lines parsed at a time."""
_SURROGATE = b"\\ud"
_DECODER: dict[str, Any] = {
    "parse_int": NumberText,
    "parse_float": NumberText,
    "parse_constant": lambda _: None,  # NaN is no number and no JSON: missing
}


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage is collected while the block runs: cells make no cycles, and to go through all of them again and
    again, of which every number is an object of a class of ours, takes longer than to parse them."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@dataclass
class Records:
    """The cells of a file by column, and what was left out.

    Args:
        columns: one list of n cells per column: text, numbers as `NumberText`, booleans, lists, objects or None.
        rows: n.
        left_out: the columns that hold objects and were not asked for.
        literal: whether the lines are Python literals.
        present: the keys of the objects.
    """

    columns: dict[str, list[Any]] = field(default_factory=dict)
    rows: int = 0
    left_out: list[str] = field(default_factory=list)
    literal: bool = False
    present: set[str] = field(default_factory=set)

    def add(self, records: list[dict[str, Any]], wanted: list[str] | None, asked: list[str]) -> None:
        """Appends objects: `wanted` columns, or all but the nested ones that are not among `asked`."""
        self.present.update(*records)
        names = wanted if wanted is not None else [*dict.fromkeys(chain([*self.columns], *records, asked))]
        for name in names:
            if name in self.left_out:
                continue
            cells = [record.get(name) for record in records]
            if "." in name and not any(name in record for record in records):
                cells = [at_path(record, name.split(".")) for record in records]
            if name not in asked and any(isinstance(c, (dict, list)) and is_nested(c) for c in cells):
                self.left_out.append(name)
                self.columns.pop(name, None)
                continue
            self.columns.setdefault(name, [None] * self.rows).extend(cells)
        self.rows += len(records)


@_no_collection()
def read_records(data: Buffer, path: Path, wanted: list[str] | None = None, asked: Iterable[str] = ()) -> Records:
    """Reads a file of objects.

    Args:
        data: UTF-8 text, see `contents`.
        path: names the file in errors.
        wanted: the columns to keep; None: all, but those that hold objects.
        asked: columns, or paths such as `details.Brand`, that are kept whatever they hold.

    Raises:
        DataError: text that is no JSON, or something else than objects; names the line.
    """
    refuse_encoding(data, path)
    records, names = Records(), list(asked)
    if data[:1000].lstrip()[:1] == b"[":
        rows = _whole(data, path)
        for start in range(0, len(rows), CHUNK):
            records.add(rows[start : start + CHUNK], wanted, names)
        return records
    lines = _numbered_lines(data)
    first = next(lines, None)
    if first is None:
        raise DataError("the file is empty", where=path, remedy=FETCH)
    parser = LineParser.for_line(first[1], path)
    records.literal = parser.literal
    stream = chain([first], lines)
    while chunk := list(islice(stream, CHUNK)):
        records.add(parser.parse(chunk), wanted, names)
    return records


@dataclass(frozen=True)
class LineParser:
    """Parses lines of one file, all of them in the same way.

    Args:
        path: names the file in errors.
        literal: whether the lines are Python literals, and not JSON.
    """

    path: Path
    literal: bool

    @classmethod
    def for_line(cls, line: bytes, path: Path) -> LineParser:
        """The parser of a file with this line."""
        return cls(path, not _is_json(line) and _is_literal(line))

    @_no_collection()
    def parse(self, lines: list[tuple[int, bytes]]) -> list[dict[str, Any]]:
        """The objects that lines hold, numbers in them as `NumberText`; `DataError` names a line that holds none."""
        return (_parse_literals if self.literal else _parse_json)(lines, self.path)


def opened_lines(path: Path) -> tuple[LineParser, Iterator[list[tuple[int, bytes]]]]:
    """The lines of a file with their numbers, see `numbered_lines`, and what parses them."""
    lines = numbered_lines(path)
    first = next(lines)
    return LineParser.for_line(first[0][1], path), chain([first], lines)


def parsed_lines(path: Path) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """The objects of a file that may be larger than the memory, some at a time, with the numbers of their lines.

    Raises:
        DataError: the file is empty or damaged, or a line holds no object; names it.
    """
    parser, parts = opened_lines(path)
    for lines in parts:
        yield [number for number, _ in lines], parser.parse(lines)


def keyless(key: str, there: Iterable[str], path: Path) -> DataError:
    """The error about a file in which no object has a value of `key`; `there` are the keys it has."""
    near = nearest(key, there)
    return DataError(
        f"no line has a value of {key!r}; the keys are {', '.join(sorted(there)[:20])}",
        where=path,
        remedy=(f"did you mean {near!r}? " if near not in (None, key) else "")
        + "check that source.format names the release that the file is of; `format: table` reads other files",
    )


def read_flat(data: Buffer, path: Path, texts: list[str], numbers: list[str]) -> pd.DataFrame | None:
    """A few columns of flat JSON lines by Arrow's parser, ten times as fast; None where that cannot be exact.

    Args:
        data: see `read_records`.
        path: names the file in errors.
        texts: columns that are text or whole numbers from the first line to the last; whole numbers become text.
        numbers: columns of numbers, or of text in every row.
    """
    first = next(_numbered_lines(data), None)
    try:
        record = json.loads(first[1]) if first else None
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    fields = []
    for name in [*texts, *numbers]:
        kind = type(record.get(name))
        known: dict[type, pa.DataType] = {str: pa.string(), int: pa.int64() if name in texts else pa.float64()}
        if name in numbers:
            known[float] = pa.float64()
        if kind not in known:
            return None
        fields.append(pa.field(name, known[kind]))
    options = pj.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore")
    try:
        table = pj.read_json(pa.BufferReader(pa.py_buffer(data)), pj.ReadOptions(block_size=32 << 20), options)
    except pa.ArrowInvalid:
        return None
    columns = {name: table[name] for name in [*texts, *numbers]}
    for name in texts:
        columns[name] = columns[name].cast(pa.string())
    return pd.DataFrame({name: column.to_pandas() for name, column in columns.items()})


def _numbered_lines(data: Buffer) -> Iterator[tuple[int, bytes]]:
    """Line numbers, from 1, and lines that are not empty."""
    source = io.BytesIO(data) if isinstance(data, bytes) else _from_start(data)
    for number, line in enumerate(iter(source.readline, b""), start=1):
        if stripped := line.strip():
            yield number, stripped


def _from_start(data: Any) -> Any:
    data.seek(0)
    return data


def _whole(data: Buffer, path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(data[:], **_DECODER)
    except (ValueError, RecursionError) as error:
        raise _broken(path, str(error)) from None
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise DataError(
                f"entry {number} of the list is {str(row)[:40]!r}, expected an object", where=path, remedy=FETCH
            )
    escaped = any(data.find(mark) >= 0 for mark in (_SURROGATE, b"\\uD"))
    return list(_whole_letters(rows) if escaped else rows)


def _parse_json(chunk: list[tuple[int, bytes]], path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(b"[" + b",".join(line for _, line in chunk) + b"]", **_DECODER)
        if len(rows) == len(chunk) and all(isinstance(row, dict) for row in rows):
            return list(_whole_letters(rows) if any(_SURROGATE in line.lower() for _, line in chunk) else rows)
    except (ValueError, RecursionError):
        pass
    rows = [_one(lambda line: json.loads(line, **_DECODER), number, line, path) for number, line in chunk]
    return list(_whole_letters(rows))


def _parse_literals(chunk: list[tuple[int, bytes]], path: Path) -> list[dict[str, Any]]:
    rows = [_one(lambda line: _numbers_as_text(literal(line.decode())), *entry, path) for entry in chunk]
    return list(_whole_letters(rows) if any(_SURROGATE in line.lower() for _, line in chunk) else rows)


def _one(parse: Callable[[bytes], Any], number: int, line: bytes, path: Path) -> dict[str, Any]:
    try:
        row = parse(line)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise _broken(f"{path}:{number}", str(error)) from None
    if not isinstance(row, dict):
        raise DataError(
            f"the line is {line[:40].decode(errors='replace')!r}, expected an object",
            where=f"{path}:{number}",
            remedy="write one JSON object a line",
        )
    return row


def _whole_letters(value: Any) -> Any:
    """The value with `without_surrogates` applied to every text in it."""
    if isinstance(value, dict):
        return {_whole_letters(key): _whole_letters(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_whole_letters(part) for part in value]
    return without_surrogates(value) if isinstance(value, str) else value


def _numbers_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _numbers_as_text(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_numbers_as_text(part) for part in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return NumberText(value)
    return value


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _is_literal(line: bytes) -> bool:
    try:
        return isinstance(literal(line.decode()), dict)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return False


def _broken(where: Path | str, error: str) -> DataError:
    return DataError(
        f"the file cannot be read as json: {error}",
        where=where,
        remedy="one JSON object a line, or a list of objects; mend the line, or fetch the file again",
    )
