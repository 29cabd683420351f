"""BookCrossing as Ziegler published it (WWW 2005): three CSV files in Latin-1 with semicolons.

Fields stand between quotation marks, and a mark inside is written after a backslash, though not always: fields are
told apart where a mark, a semicolon and a mark follow each other, which holds for every line. A few lines of books have
lost the marks between title and author. A rating of 0 says that the book was read and not rated, so it is none. There
are no times.
"""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError
from recsys.data.options import SourceOptions
from recsys.data.readers.base import RawData, nothing_known, require_files, unique_ids
from recsys.data.readers.blocks import numbered_lines
from recsys.data.readers.fields import ids_of, numbers_of, ratings_of, years_of
from recsys.data.readers.times import Lines

RATINGS, BOOKS, USERS = "BX-Book-Ratings.csv", "BX-Books.csv", "BX-Users.csv"
HEADERS = {
    RATINGS: ("User-ID", "ISBN", "Book-Rating"),
    BOOKS: ("ISBN", "Book-Title", "Book-Author", "Year-Of-Publication", "Publisher",
            "Image-URL-S", "Image-URL-M", "Image-URL-L"),
    USERS: ("User-ID", "Location", "Age"),
}  # fmt: skip
REMEDY = "unpack BX-CSV-Dump.zip, as its author published it, and point source.path at its folder"
_BETWEEN = re.compile(r'(?<=");(?="|NULL$|NULL;)|(?<=NULL);(?=")')
_LOST = re.compile(r'\\";(?!")')
_ESCAPED = re.compile(r'\\(["\\])')
AGES = (5, 110)
"""Years; what users wrote otherwise is no age."""


def read(source: SourceOptions, folder: Path) -> RawData:
    """BX-Book-Ratings.csv and BX-Books.csv, and BX-Users.csv where it is there."""
    needed = require_files(folder, [RATINGS, BOOKS], REMEDY)
    files = needed | ({USERS: folder / USERS} if (folder / USERS).is_file() else {})
    notes: list[str] = []
    ratings = _ratings(files[RATINGS], notes)
    books = _books(files[BOOKS], notes)
    users = _users(files[USERS], notes) if USERS in files else nothing_known("user")
    tables = {"interactions": files[RATINGS], "items": files[BOOKS]}
    tables |= {"users": files[USERS]} if USERS in files else {}
    return RawData(ratings, books, users, files, tables=tables, notes=tuple(notes))


def _columns(path: Path, notes: list[str]) -> tuple[pd.DataFrame, Lines]:
    """The fields of a file as text, "" for NULL, and the lines they stand in."""
    expected, lines, rows, odd = HEADERS[path.name], Lines(), list[list[str]](), list[int]()
    for place, (number, line) in enumerate(chain.from_iterable(numbered_lines(path, "latin-1"))):
        fields = _fields(line.decode(), len(expected))
        if place == 0:
            _expect_header(fields, expected, path, number)
        elif len(fields) == len(expected):
            lines.add([number])
            rows.append(fields)
        else:
            odd.append(number)
    if len(odd) > len(rows):
        raise DataError(
            f"the line has not {len(expected)} fields ({'; '.join(expected)})",
            where=f"{path}:{odd[0]}",
            remedy=REMEDY,
        )
    if not rows:
        raise DataError("the file has a header and no rows", where=path, remedy=REMEDY)
    if odd:
        lacking = counted(len(odd), "line has", "lines have")
        notes.append(f"{path.name}: {lacking} too few or too many fields, e.g. line {odd[0]}: left out")
    return pd.DataFrame(rows, columns=list(expected), dtype="str"), lines


def _fields(line: str, expected: int) -> list[str]:
    fields = _BETWEEN.split(line)
    if len(fields) == expected - 1:
        fields = [part for field in fields for part in _LOST.split(field, maxsplit=1)]
    return [_ESCAPED.sub(r"\1", _bare(field)) for field in fields]


def _bare(field: str) -> str:
    """Without the mark at either end; NULL is nothing."""
    return "" if field == "NULL" else field.removeprefix('"').removesuffix('"')


def _expect_header(fields: list[str], expected: tuple[str, ...], path: Path, number: int) -> None:
    if tuple(fields) != expected:
        raise DataError(
            f"the first line has {'; '.join(fields)[:80]!r}, expected {'; '.join(expected)!r}",
            where=f"{path}:{number}",
            remedy=f"{REMEDY}; `format: table` reads other copies of it",
        )


def _ratings(path: Path, notes: list[str]) -> pd.DataFrame:
    frame, lines = _columns(path, notes)
    rating = ratings_of(frame["Book-Rating"], path, lines)
    return pd.DataFrame(
        {
            "user": ids_of(frame["User-ID"], path, lines, notes),
            "item": ids_of(frame["ISBN"], path, lines, notes),
            "rating": np.where(rating == 0, np.float32(np.nan), rating),
        }
    )


def _books(path: Path, notes: list[str]) -> pd.DataFrame:
    frame, lines = _columns(path, notes)
    years, _ = years_of(frame["Year-Of-Publication"])
    books = pd.DataFrame(
        {
            "item": ids_of(frame["ISBN"], path, lines, notes),
            "title": frame["Book-Title"],
            "author": frame["Book-Author"],
            "year": years.where(years > 0),
            "publisher": frame["Publisher"],
        }
    )
    return unique_ids(books, "item", path, notes)


def _users(path: Path, notes: list[str]) -> pd.DataFrame:
    frame, lines = _columns(path, notes)
    ages = pd.Series(numbers_of(frame["Age"], path, lines))
    return pd.DataFrame(
        {
            "user": ids_of(frame["User-ID"], path, lines, notes),
            "location": frame["Location"],
            "age": ages.where(ages.between(*AGES)).astype("Int16"),
        }
    )
