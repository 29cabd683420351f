"""How fast a source was answered, hour by hour: one small file per process, which its later runs continue.

Time is cut at whole multiples of an interval since 1970 (UTC). The interval is `FINEST` times a power of two, so that
the intervals of several processes fall together whatever their length. An interval in which nothing was generated has
no point: the time between two runs is a gap, not a rate of zero. When there are more than `MOST_POINTS`, neighbours
are added up and the interval doubles, so that the file stays small however long a source takes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from augment.messages import Record
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, write_text

FINEST = 2.0
MOST_POINTS = 500
SECONDS_BETWEEN_WRITES = 5.0
COLUMNS = ("at", "seconds", "requests", "prompt_tokens", "cached_tokens", "completion_tokens")
"""Of a point: the start of its interval in unix seconds, how many of its seconds were spent generating, and the counts
of the requests that were finished in it. Tokens of all attempts of a request count where it was finished."""


@dataclass
class Points:
    """Points by the number of their interval since 1970; values are those of `COLUMNS` without the first."""

    interval: float = FINEST
    values: dict[int, list[float]] = field(default_factory=dict)

    def at(self, moment: float) -> list[float]:
        """The values of the interval that holds a moment."""
        return self.values.setdefault(int(moment // self.interval), [0.0] * (len(COLUMNS) - 1))

    def cover(self, begin: float, end: float) -> None:
        """Says that the time between two moments was spent generating."""
        while begin < end:
            until = min(end, (begin // self.interval + 1) * self.interval)
            self.at(begin)[0] += until - begin
            begin = until

    def thin(self, most: int) -> None:
        """Doubles the interval until there are at most so many points."""
        while len(self.values) > most:
            self.coarsen(2 * self.interval)

    def coarsen(self, interval: float) -> None:
        """Adds neighbours up; `interval` is the present one times a power of two."""
        times = round(interval / self.interval)
        finer, self.values, self.interval = self.values, {}, interval
        for number, row in finer.items():
            self._add(number // times, row)

    def include(self, other: Points) -> None:
        """Adds the points of another process."""
        widest = max(self.interval, other.interval)
        other = Points(other.interval, dict(other.values))
        for points in (self, other):
            points.coarsen(widest)
        for number, row in other.values.items():
            self._add(number, row)

    def rows(self) -> list[list[float]]:
        """One row of `COLUMNS` per point, in the order of time."""
        return [[number * self.interval, *self.values[number]] for number in sorted(self.values)]

    def _add(self, number: int, row: list[float]) -> None:
        before = self.values.get(number)
        self.values[number] = list(row) if before is None else [a + b for a, b in zip(before, row, strict=True)]


class Timeline:
    """A process's file; entered around everything it generates, and written whole every few seconds and at the end.

    Args:
        path: the file.
        meter: seconds spent on something since the engine started, by name; how much they grew is added up over runs.
        wall: unix time.
        clock: a clock that nobody sets.
    """

    def __init__(
        self,
        path: Path,
        meter: Callable[[], dict[str, float]] = dict,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._meter, self._wall, self._clock = path, meter, wall, clock
        found = read_timeline(path) if path.exists() else None
        self._started = found.started if found else None
        self._points = found.points if found else Points()
        self._spent = found.spent if found else {}
        self._metered: dict[str, float] = {}
        self._offset = self._until = self._written = 0.0

    def __enter__(self) -> Timeline:
        self._metered = self._meter()
        self._written = self._clock()
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.write()

    def begin(self) -> None:
        """Time before this was not spent generating."""
        self._offset = self._wall() - self._clock()  # a clock set meanwhile moves later points, never stretches one
        self._until = self._offset + self._clock()
        self._started = self._until if self._started is None else self._started

    def add(self, record: Record) -> None:
        """Says that a request was answered now, and that the time since the last call was spent generating."""
        now = self._offset + self._clock()
        self._points.cover(self._until, now)
        self._until = now
        values = self._points.at(now)
        for n, count in enumerate((1, record.prompt_tokens, record.cached_tokens, record.completion_tokens), start=1):
            values[n] += count
        self._points.thin(MOST_POINTS)
        if self._clock() - self._written >= SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        """Replaces the file; writes none before the first answer."""
        if not self._points.values:
            return
        metered = self._meter()
        for name, seconds in metered.items():
            self._spent[name] = self._spent.get(name, 0.0) + seconds - self._metered.get(name, 0.0)
        self._metered = metered
        self._written = self._clock()
        content = {
            "started": self._started,
            "interval": self._points.interval,
            "columns": COLUMNS,
            "points": [[round(value, 3) for value in row] for row in self._points.rows()],
            "spent_seconds": {name: round(seconds, 4) for name, seconds in self._spent.items()},
        }
        write_text(self._path, json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n")


@dataclass
class Told:
    """What a file says: when its process first started (unix seconds), its points, and what the meter added up to."""

    started: float
    points: Points
    spent: dict[str, float]


def read_timeline(path: Path) -> Told:
    """Reads one file. Raises DataError when it is not a timeline."""
    remedy = "delete it: only the drawing of the speed over time is lost"
    found = read_json(path, remedy=remedy)
    try:
        if tuple(found["columns"]) != COLUMNS:
            raise ValueError(f"its columns are {found['columns']}")
        interval = float(found["interval"])
        values = {round(at / interval): [float(value) for value in row] for at, *row in found["points"]}
        return Told(float(found["started"]), Points(interval, values), dict(found["spent_seconds"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"the file is not a timeline ({error!r})", where=path, remedy=remedy) from None


def timelines(folder: Path) -> list[Told]:
    """Those of all processes that worked on a source; none for a source older than them."""
    return [read_timeline(path) for path in sorted((folder / "timeline").glob("*.json"))]


def together(told: Iterable[Told]) -> Points:
    """The points of all processes added up, in intervals of the longest."""
    total = Points()
    for one in told:
        total.include(one.points)
    return total


def spent(folder: Path) -> dict[str, Any]:
    """Seconds that the meters of all processes of a source added up to, by name."""
    total: dict[str, float] = {}
    for told in timelines(folder):
        for name, seconds in told.spent.items():
            total[name] = round(total.get(name, 0.0) + seconds, 4)
    return total
