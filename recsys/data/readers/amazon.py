"""Amazon's reviews as McAuley's group publishes them, in three releases with keys of their own.

2014 (`reviews_Books.json.gz`, `meta_Books.json.gz`): python literals or JSON a line; McAuley et al., SIGIR 2015.
2018 (`Books.json.gz`, `meta_Books.json.gz`): JSON a line; Ni, Li, McAuley, EMNLP 2019.
2023 (`Books.jsonl.gz`, `meta_Books.jsonl.gz`): JSON a line, times in milliseconds, items by `parent_asin`, which
several variants of a product share; Hou et al., arXiv 2403.03952.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from recsys.data.options import SourceOptions
from recsys.data.readers.base import RawData
from recsys.data.readers.catalogue import Catalogue
from recsys.data.readers.nested import NumberText, at_path, text_of, values_of
from recsys.data.readers.publishers import PublishedFiles, one_file, optional_file
from recsys.data.readers.review_log import LogFile, LogKeys

UNTIL_2018 = LogKeys("reviewerID", "asin", "overall", "unixReviewTime", "reviewText")
SINCE_2023 = LogKeys("user_id", "parent_asin", "rating", "timestamp", "text")
LINES = ("*.json", "*.jsonl")
META = ("meta_*.json", "meta_*.jsonl")
_PRICE = re.compile(r"\$?\s*(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?")
_PLACE = "put the reviews of one category and its meta_ file into a folder, as {} has them"


def read_2014(source: SourceOptions, folder: Path) -> RawData:
    """reviews_CATEGORY.json.gz, or its 5-core, and meta_CATEGORY.json.gz."""
    return _read(folder, ("reviews_*.json",), UNTIL_2018, "https://jmcauley.ucsd.edu/data/amazon/links.html")


def read_2018(source: SourceOptions, folder: Path) -> RawData:
    """CATEGORY.json.gz, or its 5-core, and meta_CATEGORY.json.gz."""
    return _read(folder, LINES, UNTIL_2018, "https://nijianmo.github.io/amazon/")


def read_2023(source: SourceOptions, folder: Path) -> RawData:
    """CATEGORY.jsonl.gz and meta_CATEGORY.jsonl.gz."""
    return _read(folder, LINES, SINCE_2023, "https://amazon-reviews-2023.github.io/")


def _read(folder: Path, patterns: tuple[str, ...], keys: LogKeys, address: str) -> RawData:
    log = one_file(folder, patterns, "reviews", _PLACE.format(address), but=META)
    meta = optional_file(folder, META, "items")
    items = Catalogue(meta, keys.item, product, ("genres", "author")) if meta else None
    return PublishedFiles((LogFile(log, keys),), items).read()


def product(record: dict[str, Any]) -> dict[str, Any]:
    """The side columns of an item of any release."""
    return {
        "title": text_of(record.get("title")),
        "description": text_of(record.get("description")),
        "genres": values_of(record.get("categories") or record.get("category")),
        "brand": text_of(record.get("brand") or record.get("store")),
        "author": values_of(at_path(record, ["author", "name"])),
        "features": text_of(record.get("features") or record.get("feature")),
        "price": price(record.get("price")),
    }


def price(cell: Any) -> NumberText | None:
    """An amount of dollars; None for ranges, dashes and remains of the shop's pages.

    >>> price("$1,012.50")
    '1012.50'
    """
    found = _PRICE.fullmatch(text_of(cell).strip())
    return NumberText(found[1].replace(",", "") + (found[2] or "")) if found else None
