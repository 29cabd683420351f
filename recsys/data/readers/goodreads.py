"""Goodreads' shelves and reviews, a JSON object a line (Wan and McAuley, RecSys 2018 and ACL 2019).

A shelved book without a rating has 0 there, which is read as none. Files of one genre have its name at their end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys.data.options import SourceOptions
from recsys.data.readers.base import RawData, SideRows
from recsys.data.readers.catalogue import Catalogue
from recsys.data.readers.nested import at_path, text_of, values_of
from recsys.data.readers.publishers import PublishedFiles, one_file, optional_file
from recsys.data.readers.review_log import LogFile, LogKeys

SHELVED = LogKeys("user_id", "book_id", "rating", "date_added", unrated=0)
REVIEWED = LogKeys("user_id", "book_id", "rating", "date_added", "review_text", unrated=0)
EXCERPTED = LogKeys("user_id", "book_id", "rating", "date_added", "review_text_incomplete", unrated=0)
"""The file of interactions has the beginning of a review."""
REMEDY = "the files are at https://cseweb.ucsd.edu/~jmcauley/datasets/goodreads.html, by genre or whole"
SHELVES = 8
"""Shelves kept of a book, those that most people use."""
STATUS = (
    "to-read", "currently-reading", "read", "owned", "favorites", "favourites", "default", "wish-list", "library",
    "books-i-own", "my-books", "my-library", "own", "own-it", "kindle", "ebook", "ebooks", "e-book", "e-books",
    "audiobook", "audiobooks", "audio", "series", "re-read", "dnf", "did-not-finish", "to-buy", "abandoned", "unread",
    "all-time-favorites", "owned-books", "maybe", "i-own", "have", "borrowed", "finished", "shelfari-favorites",
)  # fmt: skip
"""Shelves that say what somebody does with a book, and nothing of it."""


def read(source: SourceOptions, folder: Path) -> RawData:
    """goodreads_interactions*.json.gz, goodreads_reviews*.json.gz, or both, where the second has the texts; and
    goodreads_books*.json.gz, goodreads_book_authors.json.gz, goodreads_book_genres_initial.json.gz."""
    shelves = optional_file(folder, ("goodreads_interactions*.json",), "interactions")
    reviews = optional_file(folder, ("goodreads_reviews*.json",), "reviews", but=("goodreads_reviews_spoiler*.json",))
    if shelves is None and reviews is None:
        names = ("goodreads_interactions*.json", "goodreads_reviews*.json")
        one_file(folder, names, "interactions or reviews", REMEDY)
    logs = [LogFile(shelves, SHELVED if reviews else EXCERPTED)] if shelves else []
    logs += [LogFile(reviews, REVIEWED)] if reviews else []
    books = optional_file(folder, ("goodreads_books*.json",), "books")
    others = {
        name: optional_file(folder, (f"goodreads_book_{name}.json",), name) for name in ("authors", "genres_initial")
    }
    items = Books(books, authors=others["authors"], genres=others["genres_initial"]) if books else None
    return PublishedFiles(tuple(logs), items).read([path for path in others.values() if path])


def book(record: dict[str, Any]) -> dict[str, Any]:
    """The side columns of a book; its genres are its shelves, its authors their ids."""
    shelves = values_of(record.get("popular_shelves"))
    return {
        "title": text_of(record.get("title")),
        "description": text_of(record.get("description")),
        "genres": [shelf for shelf in shelves if shelf not in STATUS][:SHELVES],
        "author": values_of(at_path(record, ["authors", "author_id"])),
        "year": text_of(record.get("publication_year")),
        "publisher": text_of(record.get("publisher")),
        "pages": record.get("num_pages"),
    }


@dataclass(frozen=True, kw_only=True)
class Books(Catalogue):
    """The file of books, with the names of authors and the genres of two others, where they are there."""

    authors: Path | None
    genres: Path | None
    key: str = "book_id"
    row: Callable[[dict[str, Any]], dict[str, Any]] = book
    lists: tuple[str, ...] = ("genres", "author")

    def read(self, about: str, ids: np.ndarray) -> SideRows:
        """See `Catalogue`."""
        rows = super().read(about, ids)
        frame = rows.frame
        if self.genres is not None:
            kinds = Catalogue(self.genres, "book_id", genres).read(about, ids).frame
            frame["genres"] = _looked_up(frame[about], kinds, about, "genres")
        if self.authors is None or "author" not in frame:
            return replace(rows, frame=frame.drop(columns="author", errors="ignore"))
        writers = np.array(sorted({writer for names in frame["author"] for writer in names}), dtype=object)
        known = Catalogue(self.authors, "author_id", author).read("writer", writers).frame
        names = dict(zip(known["writer"], known["name"], strict=True)) if "name" in known else {}
        frame["author"] = frame["author"].map(lambda ids: [names[one] for one in ids if names.get(one)])
        return replace(rows, frame=frame)


def genres(record: dict[str, Any]) -> dict[str, Any]:
    """The genres of a book: each key of the object is some, with commas, and counts the shelves they come from."""
    return {
        "genres": list(
            dict.fromkeys(kind.strip() for key in values_of(record.get("genres")) for kind in key.split(","))
        )
    }


def author(record: dict[str, Any]) -> dict[str, Any]:
    """The name of an author."""
    return {"name": text_of(record.get("name"))}


def _looked_up(ids: pd.Series, table: pd.DataFrame, about: str, column: str) -> pd.Series:
    """The lists of `column` that a table has of `ids`; none for an id that it lacks."""
    known = dict(zip(table[about], table[column], strict=True)) if column in table else {}
    return pd.Series([known.get(name, []) for name in ids], dtype=object)
