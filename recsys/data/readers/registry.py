"""Which reader reads which format."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from augrec.artefacts.errors import DataError
from recsys.data.options import DatasetOptions, Format

if TYPE_CHECKING:  # it loads pandas, and most who ask for the module of a format read nothing
    from recsys.data.readers.base import RawData, Reader

READERS: dict[Format, str] = {
    "recbole": "recsys.data.readers.recbole:read",
    "ml-100k": "recsys.data.readers.movielens:read_100k",
    "ml-1m": "recsys.data.readers.movielens:read_1m",
    "ml-10m": "recsys.data.readers.movielens:read_10m",
    "ml-20m": "recsys.data.readers.movielens:read_latest",
    "ml-25m": "recsys.data.readers.movielens:read_latest",
    "ml-32m": "recsys.data.readers.movielens:read_latest",
    "ml-latest": "recsys.data.readers.movielens:read_latest",
    "amazon-2014": "recsys.data.readers.amazon:read_2014",
    "amazon-2018": "recsys.data.readers.amazon:read_2018",
    "amazon-2023": "recsys.data.readers.amazon:read_2023",
    "yelp": "recsys.data.readers.yelp:read",
    "steam": "recsys.data.readers.steam:read",
    "goodreads": "recsys.data.readers.goodreads:read",
    "book-crossing": "recsys.data.readers.book_crossing:read",
    "table": "recsys.data.readers.table:read",
    "rlmrec": "recsys.data.readers.rlmrec:read",
    "augrec": "recsys.data.readers.prepared:read",
}
"""`module:function` by format, imported when it reads."""


def reader_module(name: Format) -> str:
    """The module of a format's reader."""
    return READERS[name].partition(":")[0]


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
    reader: Reader = getattr(import_module(reader_module(name)), READERS[name].partition(":")[2])
    return reader(options.source, path)
