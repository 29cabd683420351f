"""Lets every read of a test interaction raise, to show that whoever chooses does without."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest


class HeldOutRowsRead(Exception):
    """A reader was handed test interactions."""


def forbid_test_rows(patch: pytest.MonkeyPatch) -> None:
    """From now on, in this process, no table that is read from Parquet may hold a row of the test split."""
    patch.setattr(pq, "read_table", functools.partial(_checked, pq.read_table))
    read = pq.ParquetFile.read
    patch.setattr(pq.ParquetFile, "read", lambda file, *args, **options: _checked_file(read, file, *args, **options))


def _checked(read: Callable[..., Any], source: Any, *args: Any, **options: Any) -> Any:
    if "split" in pq.read_schema(source).names:
        _refuse(read(source, columns=["split"], filters=options.get("filters")))
    return read(source, *args, **options)


def _checked_file(read: Callable[..., Any], file: pq.ParquetFile, *args: Any, **options: Any) -> Any:
    if "split" in file.schema_arrow.names:
        _refuse(read(file, ["split"]))
    return read(file, *args, **options)


def _refuse(table: Any) -> None:
    if "test" in table["split"].unique().to_pylist():
        raise HeldOutRowsRead
