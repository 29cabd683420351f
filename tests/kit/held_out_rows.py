"""Lets every read of a test interaction raise, to show that whoever chooses does without."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augrec.artefacts import files, interactions


class HeldOutRowsRead(Exception):
    """A reader was handed test interactions."""


def forbid_test_rows(patch: pytest.MonkeyPatch) -> None:
    """From now on, in this process, no table that is read from Parquet may hold a row of the test split."""
    patch.setattr(pq, "read_table", functools.partial(_checked, pq.read_table))
    read = pq.ParquetFile.read
    patch.setattr(pq.ParquetFile, "read", lambda file, *args, **options: _checked_file(read, file, *args, **options))
    parts = functools.partial(
        _checked_parts, files.read_parquet_parts
    )  # decodes all rows, and hands on those asked for
    for module in (files, interactions):
        patch.setattr(module, "read_parquet_parts", parts)


def _checked(read: Callable[..., Any], source: Any, *args: Any, **options: Any) -> Any:
    if "split" in pq.read_schema(source).names:
        _refuse(read(source, columns=["split"], filters=options.get("filters")))
    return read(source, *args, **options)


def _checked_file(read: Callable[..., Any], file: pq.ParquetFile, *args: Any, **options: Any) -> Any:
    if "split" in file.schema_arrow.names:
        _refuse(read(file, ["split"]))
    return read(file, *args, **options)


def _checked_parts(
    read: Callable[..., Iterator[pa.RecordBatch]], path: Path, *, rows: Any = None, **options: Any
) -> Iterator[pa.RecordBatch]:
    if path.exists() and "split" in pq.read_schema(path).names:
        for part in read(path, columns=["split"], rows=rows):
            _refuse(part)
    return read(path, rows=rows, **options)


def _refuse(table: Any) -> None:
    if "test" in table["split"].unique().to_pylist():
        raise HeldOutRowsRead
