"""Interactions in a publisher's lines of objects, read in two passes so that texts are never held.

The first pass keeps of a line what filters and splits look at: about 40 bytes. The second one reads what users wrote,
of those lines alone that filters leave.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.readers.categories import categories_of
from recsys.data.readers.fields import bare_ids, numbers_of
from recsys.data.readers.json_records import LineParser, keyless, opened_lines, parsed_lines
from recsys.data.readers.nested import text_of
from recsys.data.readers.times import Lines, seconds_of


@dataclass(frozen=True)
class LogKeys:
    """What a publisher calls the parts of an interaction; "" is what its lines do not have."""

    user: str
    item: str
    rating: str = ""
    timestamp: str = ""
    review: str = ""
    dated: bool = False
    """Whether times are written as dates, and not as numbers."""
    unrated: float = math.nan
    """The rating that stands where none was given."""


@dataclass(frozen=True)
class LogFile:
    """One file of interactions, a line each."""

    path: Path
    keys: LogKeys


@dataclass
class _Parts:
    """The columns of a log, a list of parts each."""

    users: list[pa.Array] = field(default_factory=list)
    items: list[pa.Array] = field(default_factory=list)
    ratings: list[np.ndarray] = field(default_factory=list)
    times: list[np.ndarray] = field(default_factory=list)
    written: list[np.ndarray] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)


def read_log(files: Iterable[LogFile], notes: list[str]) -> pd.DataFrame:
    """The interactions of all lines that name a user and an item.

    Returns:
        Columns user and item (categories of str), rating (float32) and timestamp (see `RawData`) where the keys name
        them, `row` (int32: the place of the line among those of all files that are not empty) and, where there are
        reviews, `written` (uint32: 0 where nothing was written, else a checksum of it).

    Raises:
        DataError: see `parsed_lines`; no line has a key of the user or item, or a rating or time cannot be read.
    """
    files, parts, before = [*files], _Parts(), 0
    for file in files:
        before = _read_file(file, parts, before, notes)
    columns: dict[str, Any] = {"user": categories_of(parts.users), "item": categories_of(parts.items)}
    if parts.ratings:
        columns["rating"] = np.concatenate(parts.ratings)
        parts.ratings.clear()
    if parts.times:
        times = np.concatenate(parts.times)
        parts.times.clear()
        missing = np.isnan(times)
        whole = pd.Series(np.where(missing, 0, times).astype(np.int64))
        columns["timestamp"] = whole.astype("Int64").mask(missing) if missing.any() else whole
    if any(file.keys.review for file in files):
        columns["written"] = np.concatenate(parts.written)
    columns["row"] = np.concatenate(parts.rows)
    return pd.DataFrame(columns)


def read_reviews(files: Iterable[LogFile], rows: np.ndarray) -> Iterator[str | None]:
    """What was written in some lines, None for nothing.

    Args:
        files: as they were given to `read_log`.
        rows: [m] its `row`, in rising order.
    """
    before = 0
    for file in files:
        parser, parts = opened_lines(file.path)
        for lines in parts:
            first, last = np.searchsorted(rows, (before, before + len(lines)))
            before += len(lines)
            yield from _texts(parser, [lines[row] for row in rows[first:last] - (before - len(lines))], file.keys)


def _texts(parser: LineParser, lines: list[tuple[int, bytes]], keys: LogKeys) -> Iterator[str | None]:
    return (_written(record, keys) for record in parser.parse(lines))


def _written(record: dict[str, Any], keys: LogKeys) -> str | None:
    text = text_of(record.get(keys.review)) if keys.review else ""
    return text if text.strip() else None


def _read_file(file: LogFile, parts: _Parts, before: int, notes: list[str]) -> int:
    """Appends the columns of one file; `before` lines stand in those before it. Returns how many stand there now."""
    path, keys = file.path, file.keys
    lines, times, timed = Lines(), list[np.ndarray](), set[str]()
    nameless, seen = {keys.user: 0, keys.item: 0}, set[str]()
    start = before
    for numbers, records in parsed_lines(path):
        if not seen:
            seen.update(*records)
        users, items = (_ids(records, key) for key in (keys.user, keys.item))
        for key, ids in ((keys.user, users), (keys.item, items)):
            nameless[key] += ids.null_count
        named = np.asarray(pc.and_(pc.is_valid(users), pc.is_valid(items)))
        rows = np.arange(before, before + len(records), dtype=np.int32)
        before += len(records)
        if not named.all():
            users, items, rows = users.filter(pa.array(named)), items.filter(pa.array(named)), rows[named]
            records = [record for record, kept in zip(records, named, strict=True) if kept]
            numbers = [number for number, kept in zip(numbers, named, strict=True) if kept]
        here = Lines()
        here.add(numbers)
        lines.add(numbers)
        parts.users.append(users)
        parts.items.append(items)
        parts.rows.append(rows)
        if keys.rating:
            ratings = numbers_of(_column(records, keys.rating), path, here)
            parts.ratings.append(np.where(ratings == keys.unrated, np.nan, ratings).astype(np.float32))
        if keys.timestamp and keys.dated:
            times.append(_seconds(_column(records, keys.timestamp), path, here, timed))
        elif keys.timestamp:
            times.append(numbers_of(_column(records, keys.timestamp), path, here))
        texts = (_written(record, keys) for record in records)
        parts.written.append(np.fromiter(map(_checksum, texts), np.uint32, len(records)))
    for key, count in nameless.items():
        if count == before - start:
            raise keyless(key, seen, path)
    if times and not keys.dated:
        times = [_seconds(pd.Series(np.concatenate(times), name=keys.timestamp), path, lines, timed)]
    parts.times += times
    notes += [f"{path.name}: {note}" for note in sorted(timed)]
    notes += [f"{path.name}: {count:,} lines have no {key}: left out" for key, count in nameless.items() if count]
    return before


def _ids(records: list[dict[str, Any]], key: str) -> pa.Array:
    """Ids as text, null where a line has none."""
    cells = (record.get(key) for record in records)
    texts = [None if cell is None or isinstance(cell, (list, dict)) else text_of(cell) for cell in cells]
    bare = bare_ids(pa.array(texts, pa.string()))
    return pc.if_else(pc.equal(bare, ""), pa.scalar(None, pa.string()), bare)


def _column(records: list[dict[str, Any]], key: str) -> pd.Series:
    return pd.Series([text_of(record.get(key)) for record in records], dtype="str", name=key)


def _seconds(column: pd.Series, path: Path, lines: Lines, notes: set[str]) -> np.ndarray:
    """float64 [n], NaN where the time is missing; one note on how they are read is enough."""
    times = seconds_of(column, path, lines)
    if times.note and not notes:
        notes.add(times.note)
    return np.where(times.missing, np.nan, times.seconds.astype(np.float64))


def _checksum(text: str | None) -> int:
    return 0 if text is None else zlib.crc32(text.encode()) or 1
