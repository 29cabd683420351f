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

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError
from recsys.data.readers.encoded_ids import EncodedIds
from recsys.data.readers.fields import bare_ids, ratings_of
from recsys.data.readers.json_records import LineParser, keyless, opened_lines, parsed_lines
from recsys.data.readers.nested import text_of
from recsys.data.readers.times import Lines, seconds_of

UNKNOWN = np.iinfo(np.int64).min
"""Stands for a time that is missing."""


@dataclass(frozen=True)
class LogKeys:
    """What a publisher calls the parts of an interaction; "" is what its lines do not have."""

    user: str
    item: str
    rating: str = ""
    timestamp: str = ""
    review: str = ""
    unrated: float = math.nan
    """The rating that stands where none was given."""


@dataclass(frozen=True)
class LogFile:
    """One file of interactions, a line each."""

    path: Path
    keys: LogKeys


@dataclass
class _Clock:
    """Reads the times of one file part by part, all of them in one unit."""

    key: str
    path: Path
    note: str = ""
    unit: str | None = None

    def seconds(self, column: pd.Series, lines: Lines) -> np.ndarray:
        """int64 [n], `UNKNOWN` where the time is missing."""
        times = seconds_of(column, self.path, lines)
        self.note = self.note or times.note
        if not times.missing.all():
            if self.unit is not None and times.unit != self.unit:
                place = int(np.argmin(times.missing))
                raise DataError(
                    f"{self.key} is {column.iloc[place]!r}, in {times.unit or 'dates'}; the lines before have "
                    f"{self.unit or 'dates'}",
                    where=lines.where(self.path, place),
                    remedy="write all times of a file in one way",
                )
            self.unit = times.unit
        return np.where(times.missing, UNKNOWN, times.seconds)


@dataclass
class _Parts:
    """The columns of a log, in parts."""

    users: EncodedIds = field(default_factory=EncodedIds)
    items: EncodedIds = field(default_factory=EncodedIds)
    ratings: list[np.ndarray] = field(default_factory=list)
    times: list[np.ndarray] = field(default_factory=list)
    written: list[np.ndarray] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)


def read_log(files: Iterable[LogFile], notes: list[str]) -> pd.DataFrame:
    """The interactions of all lines that name a user and an item.

    Returns:
        Columns user and item (see `EncodedIds`), rating (float32) and timestamp (see `RawData`) where the keys name
        them, `row` (int32: the place of the line among those of all files that are not empty) and, where there are
        reviews, `written` (uint32: 0 where nothing was written, else a checksum of it).

    Raises:
        DataError: see `parsed_lines`; no line has a key of the user or item, or a rating or time cannot be read.
    """
    files, parts, before = [*files], _Parts(), 0
    for file in files:
        before = _read_file(file, parts, before, notes)
    columns: dict[str, Any] = {"user": parts.users.column(), "item": parts.items.column()}
    if parts.ratings:
        columns["rating"] = _whole(parts.ratings)
    if parts.times:
        times = pd.Series(_whole(parts.times))
        missing = times == UNKNOWN
        columns["timestamp"] = times.astype("Int64").mask(missing) if missing.any() else times
    if any(file.keys.review for file in files):
        columns["written"] = _whole(parts.written)
    columns["row"] = _whole(parts.rows)
    return pd.DataFrame(columns, copy=False)  # else all of them are held twice here


def _whole(parts: list[np.ndarray]) -> np.ndarray:
    """A column of its parts, which are taken."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


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
    path, keys, start = file.path, file.keys, before
    nameless, seen = {keys.user: 0, keys.item: 0}, set[str]()
    clock = _Clock(keys.timestamp, path)
    for numbers, records in parsed_lines(path):
        seen = seen or set().union(*records)
        rows = np.arange(before, before + len(records), dtype=np.int32)
        before += len(records)
        users, items = (_ids(records, key) for key in (keys.user, keys.item))
        for key, ids in ((keys.user, users), (keys.item, items)):
            nameless[key] += ids.null_count
        if users.null_count or items.null_count:
            named = pc.and_(pc.is_valid(users), pc.is_valid(items))
            users, items, rows = users.filter(named), items.filter(named), rows[np.asarray(named)]
            numbers, records = _chosen(numbers, named), _chosen(records, named)
        here = Lines()
        here.add(numbers)
        parts.users.add(users)
        parts.items.add(items)
        parts.rows.append(rows)
        parts.written.append(np.array([_checksum(_written(record, keys)) for record in records], np.uint32))
        if keys.rating:
            parts.ratings.append(_ratings(records, keys, path, here))
        if keys.timestamp:
            parts.times.append(clock.seconds(_column(records, keys.timestamp), here))
    for key, count in nameless.items():
        if count == before - start:
            raise keyless(key, seen, path)
    notes += [f"{path.name}: {clock.note}"] if clock.note else []
    notes += [
        f"{path.name}: {counted(count, 'line has', 'lines have')} no {key}: left out"
        for key, count in nameless.items()
        if count
    ]
    return before


def _ratings(records: list[dict[str, Any]], keys: LogKeys, path: Path, lines: Lines) -> np.ndarray:
    """float32 [n], NaN where none was given."""
    ratings = ratings_of(_column(records, keys.rating), path, lines)
    return np.where(ratings == keys.unrated, np.float32(np.nan), ratings)


def _chosen(parts: list[Any], chosen: pa.Array) -> list[Any]:
    return [part for part, kept in zip(parts, chosen.to_pylist(), strict=True) if kept]


def _ids(records: list[dict[str, Any]], key: str) -> pa.Array:
    """Ids as text, null where a line has none."""
    cells = (record.get(key) for record in records)
    texts = [None if cell is None or isinstance(cell, (list, dict)) else text_of(cell) for cell in cells]
    bare = bare_ids(pa.array(texts, pa.string()))
    return pc.if_else(pc.equal(bare, ""), pa.scalar(None, pa.string()), bare)


def _column(records: list[dict[str, Any]], key: str) -> pd.Series:
    return pd.Series([text_of(record.get(key)) for record in records], dtype="str", name=key)


def _checksum(text: str | None) -> int:
    return 0 if text is None else zlib.crc32(text.encode()) or 1
