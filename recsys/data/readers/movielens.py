"""MovieLens as GroupLens publishes it: 100K, 1M, 10M and the CSV releases ("latest", 20M, 25M, 32M).

Layouts are those of each release's README. Harper, Konstan: The MovieLens Datasets, ACM TiiS 5 (2015).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from augrec.artefacts.errors import DataError
from recsys.data.options import SourceOptions
from recsys.data.readers.base import (
    GROUPLENS_TERMS,
    ML100K_HINT,
    RawData,
    nothing_known,
    require_files,
    unique_ids,
    whole_seconds,
)
from recsys.data.readers.blocks import blocks
from recsys.data.readers.delimited import Layout, header_fields
from recsys.data.readers.encoded_ids import EncodedIds
from recsys.data.readers.movielens_codes import AGES_1M, GENRES_100K, OCCUPATIONS_1M
from recsys.data.readers.text import column_blocks, latin_or_utf8, numbers, read_columns
from recsys.data.readers.titles import title_and_year

RATING_FIELDS = ["user", "item", "rating", "timestamp"]
ITEM_FIELDS_100K = ["item", "title", "release_date", "video_release_date", "url", *GENRES_100K]
TAGS, TAGGED_BY = 10, 2
"""Tags kept of a film, and by how many people each: what one person alone writes would tell who saw it."""
ELSEWHERE = "point source.path at the unpacked folder of https://grouplens.org/datasets/movielens/"


def read_100k(source: SourceOptions, folder: Path) -> RawData:
    """u.data (tabs), u.item and u.user (bars, Latin-1 or, saved anew, UTF-8); the genres are 19 columns of 0 and 1."""
    files = require_files(folder, ["u.data", "u.item", "u.user"], f"{ELSEWHERE}100k/. {ML100K_HINT}")
    items = read_columns(files["u.item"], "|", ITEM_FIELDS_100K, encoding=latin_or_utf8(files["u.item"]))
    flags = np.stack([numbers(items, genre, files["u.item"], integer=True) for genre in GENRES_100K], axis=1)
    genres = [[genre for genre, on in zip(GENRES_100K, row, strict=True) if on] for row in flags]
    users = read_columns(files["u.user"], "|", ["user", "age", "gender", "occupation", "zip_code"], encoding="latin-1")
    users["age"] = numbers(users, "age", files["u.user"], integer=True).astype(np.int16)
    return RawData(
        _ratings(files["u.data"], "\t"),
        _movies(items, genres, files["u.item"]),
        unique_ids(users, "user", files["u.user"]).reset_index(drop=True),
        files,
        GROUPLENS_TERMS,
        tables=_tables(files, "u.data", "u.item", "u.user"),
    )


def read_1m(source: SourceOptions, folder: Path) -> RawData:
    """ratings.dat, movies.dat, users.dat (`::`, Latin-1 or, saved anew, UTF-8); age and occupation are codes, which are
    written out here."""
    files = require_files(folder, ["ratings.dat", "movies.dat", "users.dat"], f"{ELSEWHERE}1m/")
    path = files["users.dat"]
    users = read_columns(path, "::", ["user", "gender", "age", "occupation", "zip_code"], encoding="latin-1")
    users["age"] = _decoded(users, "age", AGES_1M, path)
    users["occupation"] = _decoded(users, "occupation", dict(enumerate(OCCUPATIONS_1M)), path)
    return RawData(
        _ratings(files["ratings.dat"], "::"),
        _dat_movies(files["movies.dat"], latin_or_utf8(files["movies.dat"])),
        unique_ids(users, "user", path).reset_index(drop=True),
        files,
        GROUPLENS_TERMS,
        tables=_tables(files, "ratings.dat", "movies.dat", "users.dat"),
    )


def read_10m(source: SourceOptions, folder: Path) -> RawData:
    """ratings.dat and movies.dat (`::`, UTF-8), half stars, no users."""
    files = require_files(folder, ["ratings.dat", "movies.dat"], f"{ELSEWHERE}10m/")
    ratings, items = _ratings(files["ratings.dat"], "::"), _dat_movies(files["movies.dat"], "utf-8")
    tables = _tables(files, "ratings.dat", "movies.dat")
    return RawData(ratings, items, nothing_known("user"), files, GROUPLENS_TERMS, tables=tables)


def read_latest(source: SourceOptions, folder: Path) -> RawData:
    """ratings.csv and movies.csv (UTF-8, header, quoted titles), half stars, no users; tags.csv where it is there."""
    where = f"{ELSEWHERE}{source.format.removeprefix('ml-')}/"
    files = require_files(folder, ["ratings.csv", "movies.csv"], where)
    _expect_header(files["ratings.csv"], "userId,movieId,rating,timestamp", where)
    _expect_header(files["movies.csv"], "movieId,title,genres", where)
    listed = _csv_movies(files["movies.csv"])
    genres = [text.split("|") for text in listed["genres"]]
    ratings = _ratings(files["ratings.csv"], ",", header=True)
    items = _movies(listed, genres, files["movies.csv"])
    if (folder / "tags.csv").is_file():
        files["tags.csv"] = folder / "tags.csv"
        _expect_header(files["tags.csv"], "userId,movieId,tag,timestamp", where)
        tags = _tags(files["tags.csv"])
        items["tags"] = pd.Series([tags.get(item, []) for item in items["item"]], items.index, dtype=object)
    tables = _tables(files, "ratings.csv", "movies.csv")
    return RawData(ratings, items, nothing_known("user"), files, GROUPLENS_TERMS, tables=tables)


def _tables(files: dict[str, Path], *names: str) -> dict[str, Path]:
    """See `RawData.tables`, of the files that hold the ratings, the films and, where there is one, the users."""
    return {about: files[name] for about, name in zip(("interactions", "items", "users"), names, strict=False)}


def _ratings(path: Path, separator: str, *, header: bool = False) -> pd.DataFrame:
    users, items = EncodedIds(), EncodedIds()
    ratings, times = list[np.ndarray](), list[np.ndarray]()
    for frame in column_blocks(path, separator, RATING_FIELDS, header=header):
        users.add(pa.array(numbers(frame, "user", path, integer=True)))
        items.add(pa.array(numbers(frame, "item", path, integer=True)))
        ratings.append(numbers(frame, "rating", path).astype(np.float32))
        times.append(whole_seconds(numbers(frame, "timestamp", path, integer=True), path))
    return pd.DataFrame(
        {
            "user": users.column(),
            "item": items.column(),
            "rating": np.concatenate(ratings),
            "timestamp": np.concatenate(times),
        }
    )


def _tags(path: Path) -> dict[str, list[str]]:
    """What several people call a film, by its id: in small letters, those that most of them use."""
    frame = read_columns(path, ",", ["user", "item", "tag", "timestamp"], header=True, quoted=True)
    frame["item"] = numbers(frame, "item", path, integer=True).astype(str)
    frame["tag"] = frame["tag"].str.strip().str.lower()
    frame = frame.loc[frame["tag"] != "", ["user", "item", "tag"]].drop_duplicates()
    people = frame.groupby(["item", "tag"]).size().rename("people").reset_index()
    people = people[people["people"] >= TAGGED_BY].sort_values(["item", "people", "tag"], ascending=[True, False, True])
    chosen = people.groupby("item").head(TAGS)
    return {str(item): tags.tolist() for item, tags in chosen.groupby("item")["tag"]}


def _dat_movies(path: Path, encoding: str) -> pd.DataFrame:
    items = read_columns(path, "::", ["item", "title", "genres"], encoding=encoding)
    return _movies(items, [text.split("|") for text in items["genres"]], path)


def _csv_movies(path: Path) -> pd.DataFrame:
    return read_columns(path, ",", ["item", "title", "genres"], header=True, quoted=True)


def _movies(items: pd.DataFrame, genres: list[list[str]], path: Path) -> pd.DataFrame:
    parsed = [title_and_year(title) for title in items["title"]]
    frame = pd.DataFrame(
        {
            "item": numbers(items, "item", path, integer=True).astype(str),
            "title": [title for title, _ in parsed],
            "year": pd.array([year for _, year in parsed], dtype="Int16"),
            "genres": pd.Series(genres, dtype=object),
        }
    )
    return unique_ids(frame, "item", path)


def _decoded(users: pd.DataFrame, column: str, names: dict[int, str], path: Path) -> list[str]:
    codes = numbers(users, column, path, integer=True)
    unknown = ~np.isin(codes, list(names))
    if unknown.any():
        place = int(np.argmax(unknown))
        raise DataError(
            f"{column} code {codes[place]} is none of {', '.join(map(str, names))}",
            where=f"{path}:{users.index[place]}",
            remedy="use the users.dat of MovieLens 1M as published",
        )
    return [names[int(code)] for code in codes]


def _expect_header(path: Path, header: str, where: str) -> None:
    first = ",".join(header_fields(next(blocks(path, size=4096)).data, Layout(",", quoted=True)))
    if first != header:
        raise DataError(f"the first line is {first[:80]!r}, expected {header!r}", where=f"{path}:1", remedy=where)
