"""Turns a table of interactions into a data set that is filtered, split and ready to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from augrec.api.scratch import scratch_folder
from augrec.artefacts.errors import DataError, UsageError
from augrec.pipeline.config.sections import validated
from recsys.data.dataset import Dataset
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare as prepare_raw
from recsys.data.readers import table as table_reader


class ArrowStream(Protocol):
    """What exports Arrow: tables of polars, of DuckDB and of Arrow itself."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """See https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html."""


Frame: TypeAlias = pd.DataFrame | pa.Table | ArrowStream
TABLE = "pandas.read_csv or pyarrow.parquet.read_table read a file, pandas.DataFrame takes rows"
COLUMNS = (
    "prepare(user=, item=, rating=, timestamp=) name the columns; `items` and `users` have ids under the same names"
)


def prepare(
    interactions: Frame,
    *,
    user: str = "user",
    item: str = "item",
    rating: str | None = None,
    timestamp: str | None = None,
    items: Frame | None = None,
    users: Frame | None = None,
    min_rating: float | None = None,
    k_core: int = 0,
    split: str = "random",
    ratios: tuple[int, int, int] | None = None,
    seed: int = 0,
    name: str = "data",
    folder: Path | str | None = None,
) -> Dataset:
    """Filters, numbers and splits interactions, as the stage `prepare` does with files.

    Args:
        interactions: a table with one row per interaction: pandas, Arrow, or anything that exports Arrow (polars).
        user, item, rating, timestamp: the names of its columns; times are seconds to nanoseconds since 1970, or dates.
        items, users: tables that describe items and users, one row each; the column of ids has the same name as in
            `interactions`. The columns `title`, `year` and `genres` have a meaning for prompts and reports.
        min_rating: interactions with a lower rating are dropped.
        k_core: every user and item keeps at least this many interactions.
        split: "random", "hashed", "temporal" or "leave_last_out" split the interactions of each user;
            "by_interaction" and "global_temporal" split all interactions together.
        ratios: the parts for train, valid and test; by default those of the kind of split.
        seed: the seed of the split.
        name: the name of the data set.
        folder: a new folder to keep the data set in, for `Dataset.load`; without one it is deleted with the process.

    Returns:
        The data set, with contiguous ids; `dataset.users["source_id"]` and `dataset.items["source_id"]` hold the ids
        of the table, and `dataset.meta["notes"]` what was left out, repaired or missing.

    Raises:
        UsageError: an option is wrong.
        DataError: a column is missing or holds invalid values, no interaction is left, or none is held out.
    """
    source = scratch_folder("table")
    columns: dict[str, Any] = {"user": user, "item": item, "rating": rating}
    for about, frame in (("interactions", interactions), ("items", items), ("users", users)):
        if frame is not None:
            pq.write_table(_arrow(frame, about), source / f"{about}.parquet")
            columns[about] = f"{about}.parquet"
    options = validated(
        {
            "name": name,
            "source": {"format": "table", "path": str(source), "table": {**columns, "timestamp": timestamp}},
            "min_rating": min_rating,
            "k_core": k_core,
            "split": {"kind": split} | ({} if ratios is None else {"ratios": list(ratios)}),
        },
        DatasetOptions,
        "prepare()",
        "arguments",
    )
    out = scratch_folder("dataset") if folder is None else Path(folder)
    try:
        prepare_raw(table_reader.read(options.source, source), options, out, seed)
    except DataError as error:
        raise _of_a_call(error, source) from None
    return Dataset.load(out)


def _arrow(frame: Frame, about: str) -> pa.Table:
    try:
        if isinstance(frame, pd.DataFrame):
            return pa.Table.from_pandas(frame, preserve_index=False)
        if hasattr(frame, "__arrow_c_stream__"):  # Arrow's own, polars, DuckDB
            return pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"the table cannot be read by Arrow: {' '.join(map(str, error.args))}",
            where=about,
            remedy="give every column one type, e.g. frame[column].astype(str) for ids",
        ) from None
    raise UsageError(f"{about} is of type {type(frame).__name__}, expected a table", where="prepare()", remedy=TABLE)


def _of_a_call(error: DataError, source: Path) -> DataError:
    """The error in terms of the arguments of `prepare`, where it speaks of files and of a config."""
    where = str(error.where or "").replace(f"{source}/", "").replace(".parquet", "").replace(str(source), "prepare()")
    remedy = error.remedy or ""
    if "source.table" in remedy or "dataset." in remedy:
        meant = remedy.partition("? ")[0] + "? " if remedy.startswith("did you mean") else ""
        remedy = meant + (COLUMNS if "source.table" in remedy else remedy.replace("dataset.", ""))
    return DataError(error.what, where=where or None, remedy=remedy or None)
