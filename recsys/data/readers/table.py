"""Your own data: CSV, TSV, JSON lines or Parquet, read through Hugging Face `datasets`, without the network."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from artefacts.errors import DataError
from recsys.data.options import SourceOptions, TableOptions
from recsys.data.readers.base import RawData, require_files, unique_ids, whole_seconds

BUILDERS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
RESERVED = {"user", "item", "source_id"}


def read(source: SourceOptions, folder: Path) -> RawData:
    """Reads the files `source.table` names. Ids are kept as text, so "007" and "7" differ."""
    options = source.table or TableOptions()
    names = [name for name in (options.interactions, options.items, options.users) if name]
    files = require_files(folder, names, "set source.path and the file names under source.table")
    interactions = _interactions(options, files[options.interactions])
    items = _side(options, options.items, options.item, "item", files)
    users = _side(options, options.users, options.user, "user", files)
    return RawData(interactions, items, users, files)


def _interactions(options: TableOptions, path: Path) -> pd.DataFrame:
    wanted = [name for name in (options.user, options.item, options.rating, options.timestamp) if name]
    frame = _load(path, ids=(options.user, options.item), required=wanted)
    out = pd.DataFrame({"user": _ids(frame[options.user], path), "item": _ids(frame[options.item], path)})
    if options.rating:
        out["rating"] = _numbers(frame[options.rating], path).astype(np.float32)
    if options.timestamp:
        times = frame[options.timestamp]
        if pd.api.types.is_datetime64_any_dtype(times):
            times = (times - pd.Timestamp(0, tz=times.dt.tz)) // pd.Timedelta(seconds=1)
        out["timestamp"] = whole_seconds(_numbers(times, path), path)
    return out


def _side(options: TableOptions, name: str | None, id_column: str, target: str, files: dict[str, Path]) -> pd.DataFrame:
    if name is None:
        return pd.DataFrame({target: pd.Series(dtype=str)})
    path = files[name]
    frame = _load(path, ids=(id_column,), required=[id_column])
    out = pd.DataFrame({target: _ids(frame[id_column], path)})
    for column in frame.columns:
        if column == id_column:
            continue
        ours = options.rename.get(column, column)
        if ours in RESERVED or ours in out:
            raise DataError(
                f"the side column {ours!r} is a name Augrec uses or occurs twice",
                where=path,
                remedy=f"give it another name, e.g. source.table.rename: {{{column}: {ours}_2}}",
            )
        out[ours] = _typed(frame[column], ours, options, path)
    return unique_ids(out, target, path)


def _typed(column: pd.Series, name: str, options: TableOptions, path: Path) -> pd.Series:
    if name in options.lists:
        return pd.Series([_split(value, options.list_separator) for value in column], dtype=object)
    if name == "year":
        years = pd.to_numeric(column, errors="coerce")
        return years.where(years.abs() <= np.iinfo(np.int16).max).round().astype("Int16")
    if name == "title":
        return column.map(lambda value: "unknown" if _absent(value) else str(value)).astype(str)
    return column


def _split(value: Any, separator: str) -> list[str]:
    if isinstance(value, (list, np.ndarray)):
        return [str(part) for part in value]
    return [] if _absent(value) else [part.strip() for part in str(value).split(separator) if part.strip()]


def _absent(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value))


def _load(path: Path, *, ids: tuple[str, ...], required: list[str]) -> pd.DataFrame:
    import datasets
    from datasets.exceptions import DatasetGenerationError

    builder = BUILDERS.get(path.suffix)
    if builder is None:
        raise DataError(
            f"files ending in {path.suffix!r} are not read", where=path, remedy=f"use one of {', '.join(BUILDERS)}"
        )
    if not path.stat().st_size:
        raise DataError("the file is empty", where=path, remedy="fetch or export it again")
    arguments: dict[str, Any] = {}
    if builder == "csv":
        # Ids stay text, and only an empty field is missing: "None" and "NA" are titles and names too.
        arguments = {
            "sep": "\t" if path.suffix == ".tsv" else ",",
            "converters": dict.fromkeys(ids, str),
            "keep_default_na": False,
            "na_values": [""],
        }
    shown = datasets.utils.logging.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with tempfile.TemporaryDirectory(prefix="augrec-table-") as cache:
            rows = datasets.load_dataset(
                builder,
                data_files=str(path.resolve()),
                split="train",
                cache_dir=cache,
                keep_in_memory=True,
                download_config=datasets.DownloadConfig(local_files_only=True),
                **arguments,
            )
            frame = rows.to_pandas()
    except (DatasetGenerationError, pd.errors.ParserError, ValueError, OSError) as error:
        cause = str(error.__cause__ or error).strip().split("\n")[0]
        raise DataError(f"the file cannot be read as {builder}: {cause}", where=path, remedy="mend the row") from None
    finally:
        if shown:
            datasets.enable_progress_bars()
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)}; the file has {', '.join(map(str, frame.columns))}",
            where=path,
            remedy="set the column names under source.table, and check the separator: .csv is comma, .tsv is tab",
        )
    if frame.empty:
        raise DataError("the file has no rows", where=path, remedy="fetch or export it again")
    return frame


def _ids(column: pd.Series, path: Path) -> pd.Series:
    whole = pd.api.types.is_float_dtype(column) and (column.dropna() == column.dropna().round()).all()
    missing = column.isna() | (column.astype(str).str.strip() == "")
    _refuse(missing.to_numpy(), column, path, "an id")
    return column.astype("int64").astype(str) if whole else column.astype(str)


def _numbers(column: pd.Series, path: Path) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    _refuse(~np.isfinite(values), column, path, "a number")
    return values


def _refuse(bad: np.ndarray, column: pd.Series, path: Path, expected: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{column.name} is {column.iloc[row]!r}, expected {expected}",
            where=f"{path}, data row {row + 1}",
            remedy="mend the row or leave it out",
        )
