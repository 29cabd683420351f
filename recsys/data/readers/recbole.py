"""RecBole's atomic files: NAME.inter, NAME.item, NAME.user, tab-separated, with a typed header `name:type`.

Types (https://recbole.io/docs/user_guide/data/atomic_files.html): token, float, and their space-separated sequences.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from artefacts.errors import DataError
from recsys.data.options import SourceOptions
from recsys.data.readers.base import GROUPLENS_TERMS, ML100K_HINT, RawData, unique_ids, whole_seconds
from recsys.data.readers.text import numbers, read_columns, read_text
from recsys.data.readers.titles import title_and_year

TYPES = ("token", "token_seq", "float", "float_seq")
TITLES = {"movie_title", "title"}
YEARS = {"release_year", "year"}
GENRES = {"class", "genre", "genres", "categories"}


def read(source: SourceOptions, folder: Path) -> RawData:
    """Reads the one .inter file of the folder, and the .item and .user files of the same name where they exist."""
    inter = _interaction_file(folder)
    files = {path.name: path for end in (".inter", ".item", ".user") if (path := inter.with_suffix(end)).is_file()}
    table, _ = _typed_columns(inter, {"user_id": "token", "item_id": "token"})
    interactions = pd.DataFrame({"user": table["user_id"], "item": table["item_id"]})
    if "rating" in table:
        interactions["rating"] = table["rating"].astype(np.float32)
    if "timestamp" in table:
        interactions["timestamp"] = whole_seconds(table["timestamp"].to_numpy(), inter)
    items = _items(inter.with_suffix(".item")) if f"{inter.stem}.item" in files else _only("item")
    users = _users(inter.with_suffix(".user")) if f"{inter.stem}.user" in files else _only("user")
    licence = GROUPLENS_TERMS if inter.stem.startswith("ml-") else None
    return RawData(interactions, items, users, files, licence)


def _interaction_file(folder: Path) -> Path:
    found = sorted(folder.glob("*.inter"))
    if len(found) != 1:
        what = f"{len(found)} .inter files, expected one" if found else "no .inter file"
        raise DataError(
            f"{what}; expected NAME.inter and, with side information, NAME.item and NAME.user",
            where=folder,
            remedy=ML100K_HINT if not found else "give each data set a folder of its own",
        )
    return found[0]


def _typed_columns(path: Path, required: dict[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The columns by name, tokens as str, sequences as lists, and each column's type."""
    header = read_text(path, "utf-8").split("\n", 1)[0].rstrip("\r")
    types = {name: kind for name, _, kind in (field.partition(":") for field in header.split("\t"))}
    wrong = [f"{name}:{kind}" for name, kind in types.items() if kind not in TYPES]
    missing = [name for name in required if name not in types]
    if wrong or missing:
        what = f"columns without a known type: {', '.join(wrong)}" if wrong else f"no column {', '.join(missing)}"
        raise DataError(
            f"{what}; expected a tab-separated header of name:type with types {', '.join(TYPES)}",
            where=f"{path}:1",
            remedy="check that the file is a RecBole atomic file with tabs between the fields",
        )
    frame = read_columns(path, "\t", list(types), header=True)
    for name, kind in types.items():
        if kind == "float":
            frame[name] = numbers(frame, name, path)
        elif kind == "token_seq":
            frame[name] = pd.Series([text.split(" ") if text else [] for text in frame[name]], frame.index, object)
        elif kind == "float_seq":
            frame[name] = pd.Series(_float_lists(frame, name, path), frame.index, object)
    return frame.reset_index(drop=True), types


def _float_lists(frame: pd.DataFrame, name: str, path: Path) -> list[list[float]]:
    rows = []
    for line, text in frame[name].items():
        try:
            rows.append([float(part) for part in text.split()])
        except ValueError:
            raise DataError(
                f"{name} is {text[:60]!r}, expected numbers separated by spaces",
                where=f"{path}:{line}",
                remedy="mend the line",
            ) from None
    return rows


def _items(path: Path) -> pd.DataFrame:
    frame, _ = _typed_columns(path, {"item_id": "token"})
    frame = unique_ids(frame.rename(columns={"item_id": "item"}), "item", path)
    columns: dict[str, pd.Series] = {}
    written_years = pd.Series(pd.NA, frame.index, dtype="Int16")
    for name in frame.columns:
        if name in TITLES:
            texts = frame[name].map(lambda value: " ".join(value) if isinstance(value, list) else value)
            parsed = [title_and_year(text) for text in texts]
            columns["title"] = pd.Series([title for title, _ in parsed], dtype=str)
            written_years = pd.Series([year for _, year in parsed], dtype="Int16")
        elif name in GENRES:
            columns["genres"] = frame[name].map(lambda value: value if isinstance(value, list) else [value])
        elif name in YEARS:
            columns["year"] = _years(frame[name])
        else:
            columns[name] = frame[name]
    if "year" in columns:  # ML-100K has a film whose year stands in the title only
        columns["year"] = columns["year"].fillna(written_years)
    return pd.DataFrame(columns)


def _years(column: pd.Series) -> pd.Series:
    values = pd.to_numeric(column, errors="coerce")
    return values.where((values >= 1000) & (values <= 3000)).round().astype("Int16")


def _users(path: Path) -> pd.DataFrame:
    frame, _ = _typed_columns(path, {"user_id": "token"})
    frame = unique_ids(frame.rename(columns={"user_id": "user"}), "user", path)
    if "age" in frame:
        ages = pd.to_numeric(frame["age"], errors="coerce")
        if ages.notna().all():
            frame["age"] = ages.round().astype(np.int16)
    return frame


def _only(name: str) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=str)})
