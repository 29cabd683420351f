"""Yelp's open data set, a JSON object a line: reviews and businesses (business.yelp.com/data/resources)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recsys.data.options import SourceOptions
from recsys.data.readers.base import RawData
from recsys.data.readers.catalogue import Catalogue
from recsys.data.readers.nested import text_of, values_of
from recsys.data.readers.publishers import PublishedFiles, one_file, optional_file
from recsys.data.readers.review_log import LogFile, LogKeys

KEYS = LogKeys("user_id", "business_id", "stars", "date", "text")
REMEDY = "unpack yelp_dataset.tar and point source.path at its folder"
LICENCE = "Yelp data set terms: academic use, no redistribution"


def read(source: SourceOptions, folder: Path) -> RawData:
    """yelp_academic_dataset_review.json and yelp_academic_dataset_business.json.

    Users are left out: their file holds names, friends and what they did over all time.
    """
    log = one_file(folder, _names("review"), "reviews", REMEDY)
    about = optional_file(folder, _names("business"), "businesses")
    items = Catalogue(about, KEYS.item, business) if about else None
    return PublishedFiles((LogFile(log, KEYS),), items).read(licence=LICENCE)


def _names(what: str) -> tuple[str, ...]:
    return f"yelp_academic_dataset_{what}.json", f"{what}.json"


def business(record: dict[str, Any]) -> dict[str, Any]:
    """The side columns of a business; its categories are one text with commas."""
    return {
        "title": text_of(record.get("name")),
        "genres": values_of(record.get("categories"), ","),
        "city": text_of(record.get("city")),
        "state": text_of(record.get("state")),
    }
