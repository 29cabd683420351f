"""Which reader reads which format."""

from __future__ import annotations

from pathlib import Path

from recsys.data.options import DatasetOptions, Format
from recsys.data.readers import movielens, prepared, recbole, rlmrec, table
from recsys.data.readers.base import RawData, Reader

READERS: dict[Format, Reader] = {
    "recbole": recbole.read,
    "ml-100k": movielens.read_100k,
    "ml-1m": movielens.read_1m,
    "ml-10m": movielens.read_10m,
    "ml-latest": movielens.read_latest,
    "table": table.read,
    "rlmrec": rlmrec.read,
    "augrec": prepared.read,
}


def read(options: DatasetOptions, path: Path) -> RawData:
    """Reads the raw data of `options` from the folder `path` (`source.path`, with any `pkg:` resolved).

    Raises:
        DataError: see `Reader`.
    """
    return READERS[options.source.format](options.source, path)
