"""Reads a data set by the reader of its format."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from augrec.artefacts.errors import DataError
from recsys.data.formats import READERS
from recsys.data.options import DatasetOptions

if TYPE_CHECKING:
    from recsys.data.readers.base import RawData, Reader


def read(options: DatasetOptions, path: Path) -> RawData:
    """Reads the raw data of `options` from the folder `path` (`source.path`, with any `pkg:` resolved).

    Raises:
        DataError: see `Reader`.
    """
    name = options.source.format
    if path.is_file():
        raise DataError(
            "source.path names a file, expected the folder that holds it",
            where=path,
            remedy=f"set dataset.source.path: {path.parent}"
            + (f" and dataset.source.table.interactions: {path.name}" if name == "table" else ""),
        )
    found = READERS.find(name)
    reader: Reader = getattr(import_module(found.module), found.reader.partition(":")[2])
    return reader(options.source, path)
