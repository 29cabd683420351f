"""A table of interactions as a data set that is filtered, split and ready to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from augrec.api.scratch import scratch_folder
from augrec.artefacts.errors import DataError, UsageError
from augrec.pipeline.sections import validated
from recsys.data.dataset import Dataset
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare as prepare_raw
from recsys.data.readers import table as table_reader

Frame: TypeAlias = pd.DataFrame | pa.Table
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
    """Filters, numbers and splits interactions, as the stage `prepare` does those of a file.

    Args:
        interactions: a row each; pandas, Arrow, or what hands itself over as Arrow does (polars).
        user, item, rating, timestamp: what its columns are called; times are seconds to nanoseconds since 1970, or
            dates.
        items, users: what is known of them, a row each with the id in a column called as in `interactions`; `title`,
            `year` and `genres` are the names that others know.
        min_rating: interactions rated below are dropped.
        k_core: every user and item keeps so many interactions.
        split: "random", "hashed", "temporal" or "leave_last_out" per user; "by_interaction" or "global_temporal" as a
            whole.
        ratios: parts that go to train, valid and test; those of the kind of split unless given.
        seed: of the split.
        name: of the data set.
        folder: a new folder to keep it in, which `Dataset.load` reads; without one it is gone with the process.

    Returns:
        Ids are contiguous; `dataset.users["source_id"]` and `dataset.items["source_id"]` are the table's own.
        `dataset.meta["notes"]` says what was left out, mended or missing.

    Raises:
        UsageError: an option is wrong.
        DataError: a column is missing or holds what it must not, nothing is left, or nothing is held out.
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
    """The error in the words of who gave tables and no files."""
    where = str(error.where or "").replace(f"{source}/", "").replace(".parquet", "").replace(str(source), "prepare()")
    remedy = error.remedy or ""
    if "source.table" in remedy or "dataset." in remedy:
        meant = remedy.partition("? ")[0] + "? " if remedy.startswith("did you mean") else ""
        remedy = meant + (COLUMNS if "source.table" in remedy else remedy.replace("dataset.", ""))
    return DataError(error.what, where=where or None, remedy=remedy or None)
