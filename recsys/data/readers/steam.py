"""Steam's reviews and games, a Python literal a line, as Kang and McAuley crawled them (SASRec, ICDM 2018).

There are no ratings: a review says that the game was played. The hours played are counted over all time and are not
read as ratings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recsys.data.options import SourceOptions
from recsys.data.readers.base import RawData
from recsys.data.readers.catalogue import Catalogue
from recsys.data.readers.nested import text_of, values_of
from recsys.data.readers.publishers import PublishedFiles, one_file, optional_file
from recsys.data.readers.review_log import LogFile, LogKeys

KEYS = LogKeys("username", "product_id", timestamp="date", review="text")
REMEDY = "steam_reviews.json.gz and steam_games.json.gz are at https://cseweb.ucsd.edu/~jmcauley/datasets.html"


def read(source: SourceOptions, folder: Path) -> RawData:
    """steam_reviews.json.gz (or steam_new.json.gz) and steam_games.json.gz."""
    log = one_file(folder, ("steam_reviews.json", "steam_new.json"), "reviews", REMEDY)
    about = optional_file(folder, ("steam_games.json",), "games")
    items = Catalogue(about, "id", game, ("genres", "tags")) if about else None
    return PublishedFiles((LogFile(log, KEYS),), items).read()


def game(record: dict[str, Any]) -> dict[str, Any]:
    """The side columns of a game."""
    return {
        "title": text_of(record.get("title") or record.get("app_name")),
        "year": text_of(record.get("release_date")),
        "genres": values_of(record.get("genres")),
        "tags": values_of(record.get("tags")),
        "publisher": text_of(record.get("publisher")),
        "developer": text_of(record.get("developer")),
    }
