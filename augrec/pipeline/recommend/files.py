"""Tables of lists in a file: Parquet, CSV or JSON lines, written as they come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Literal, TextIO, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from augrec.artefacts.csv_cells import csv_lines
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import atomic_path

Format = Literal["parquet", "csv", "jsonl"]
FORMATS: tuple[Format, ...] = get_args(Format)


def format_of(path: Path | None, named: str | None) -> Format:
    """The format that is named, or the one of the file's ending; Parquet where neither says any.

    Raises:
        UsageError: there is no such format, or the ending is another's.
    """
    ending = path.suffix.lower().removeprefix(".") if path is not None else ""
    wanted = named or ending or FORMATS[0]
    for known in FORMATS:
        if wanted == known and ending in ("", known):
            return known
    if wanted in FORMATS:
        raise UsageError(
            f"the file ends in .{ending} and the format is {wanted}", where=path, remedy="name one of them"
        )
    raise UsageError(f"there is no format '{wanted}'", where="--format", remedy=f"one of {', '.join(FORMATS)}")


def write_tables(path: Path, tables: Iterable[pa.Table], form: Format) -> int:
    """Writes tables of one schema one after the other, atomically; returns the number of rows.

    One is in memory at a time. Cells of CSV that a spreadsheet would run as formulas get an apostrophe in front, see
    `augrec.artefacts.csv_cells`.
    """
    waiting = iter(tables)
    first = next(waiting)  # before there is a file: it may be refused
    with atomic_path(path) as temporary:
        if form == "parquet":
            with pq.ParquetWriter(temporary, first.schema, write_page_checksum=True) as out:
                return sum(_written(table, out) for table in chain([first], waiting))
        with temporary.open("w", encoding="utf-8", newline="") as text:
            if form == "csv":
                text.write(csv_lines([first.column_names]))
            return sum(_said(table, text, form) for table in chain([first], waiting))


def _written(table: pa.Table, out: pq.ParquetWriter) -> int:
    out.write_table(table)
    return int(table.num_rows)


def _said(table: pa.Table, out: TextIO, form: Format) -> int:
    if form == "csv":
        out.write(csv_lines(zip(*(column.to_pylist() for column in table.columns), strict=True)))
    else:
        out.writelines(_json_lines(table))
    return int(table.num_rows)


def _json_lines(table: pa.Table) -> Iterator[str]:
    return (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in table.to_pylist())
