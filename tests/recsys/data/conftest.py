"""Small sources and options for the data tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recsys.data.dataset import Dataset
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare
from recsys.data.readers.base import RawData
from recsys.data.readers.registry import read

FILES = dict[str, str | bytes]


@pytest.fixture
def options() -> Callable[..., DatasetOptions]:
    """Options of a format with any field replaced."""

    def build(layout: str = "recbole", table: dict[str, Any] | None = None, **fields: Any) -> DatasetOptions:
        source = {"format": layout, "path": "somewhere", "table": table}
        return DatasetOptions.model_validate({"name": "t", "source": source, "split": {"kind": "random"}} | fields)

    return build


@pytest.fixture
def read_files(tmp_path: Path, options: Callable[..., DatasetOptions]) -> Callable[..., RawData]:
    """Writes files and reads them in a format."""

    def write_and_read(layout: str, files: FILES, table: dict[str, Any] | None = None) -> RawData:
        for name, content in files.items():
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(options(layout, table), tmp_path)

    return write_and_read


@pytest.fixture
def prepared(tmp_path: Path, options: Callable[..., DatasetOptions]) -> Callable[..., tuple[Dataset, dict[str, Any]]]:
    """Writes files, reads them in a format, prepares them and loads the result."""

    def run(layout: str, files: dict[str, bytes], **fields: Any) -> tuple[Dataset, dict[str, Any]]:
        folder, out = tmp_path / "source", tmp_path / "dataset"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        chosen = options(layout, domain="books", **fields)
        meta = prepare(read(chosen, folder), chosen, out, 1)
        return Dataset.load(out), meta

    return run
