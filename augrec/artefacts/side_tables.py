"""The tables of users and items of a data set: row i describes the one with contiguous id i."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet, readable_parquet
from augrec.artefacts.interactions import PREPARE_AGAIN
from augrec.artefacts.tasks import About


def read_side_table(
    path: Path, about: About, *, columns: Sequence[str] | None = None, remedy: str = PREPARE_AGAIN
) -> pa.Table:
    """`users.parquet` or `items.parquet`, checked.

    Args:
        path: the file.
        about: whose table it is.
        columns: those that are read beside the id, of those that are there; None for all.
        remedy: what to do about a file that is wrong.

    Raises:
        DataError: the file is missing or damaged, or its ids are not 0, 1, 2, ... in order.
    """
    wanted = None if columns is None else list(dict.fromkeys([about, *columns]))
    table = read_parquet(path, columns=wanted, remedy=remedy)
    if about not in table.column_names:
        raise DataError(f"the column {about!r} is missing", where=path, remedy=remedy)
    ids = pc.fill_null(table[about], -1).to_numpy()
    wrong = ids != np.arange(len(ids))
    if wrong.any():
        what = f"{about} ids are not contiguous from 0"
        raise DataError(what, where=f"{path}, row {int(np.argmax(wrong))}", remedy=remedy)
    return table


def read_source_ids(path: Path, about: About, *, remedy: str = PREPARE_AGAIN) -> list[str]:
    """What the data's own source calls every user or item, by contiguous id.

    Raises:
        DataError: as `read_side_table`, or the table does not say.
    """
    table = read_side_table(path, about, columns=["source_id"], remedy=remedy)
    if "source_id" not in table.column_names:
        raise DataError(
            f"the {about}s have no column 'source_id', by which they are matched", where=path, remedy=remedy
        )
    return [str(source_id) for source_id in table["source_id"].to_pylist()]


def count_rows(path: Path) -> int:
    """How many users or items a table describes, without reading it."""
    with readable_parquet(path, remedy=PREPARE_AGAIN):
        return int(pq.read_metadata(path).num_rows)


def titles_of(items: pa.Table) -> list[str]:
    """A name for every item: its title with the year, else its source id."""
    names = items["title" if "title" in items.column_names else "source_id"].to_pylist()
    sources = items["source_id"].to_pylist()
    years = items["year"].to_pylist() if "year" in items.column_names else [None] * len(names)
    titled = [str(name) if name is not None else f"item {source}" for name, source in zip(names, sources, strict=True)]
    return [f"{t} ({y})" if y is not None and f"({y})" not in t else t for t, y in zip(titled, years, strict=True)]
