"""How fast a source was answered, hour by hour: one small file per process, which its later runs continue.

Time is cut at whole multiples of an interval since 1970 (UTC). The interval is `FINEST` times a power of two, so that
the intervals of several processes fall together whatever their length. An interval in which nothing was generated has
no point: the time between two runs is a gap, not a rate of zero. When there are more than `MOST_POINTS`, neighbours
are added up and the interval doubles, so that the file stays small however long a source takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json
from augrec.artefacts.source_folder import SourceFolder

FINEST = 2.0
MOST_POINTS = 500
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


@dataclass
class StoredTimeline:
    """What a file says: when its process first started (unix seconds), its points, and what the meter added up to."""

    started: float
    points: Points
    spent: dict[str, float]


def read_timeline(path: Path) -> StoredTimeline:
    """Reads one file. Raises DataError when it is not a timeline."""
    remedy = "delete it: only the drawing of the speed over time is lost"
    found = read_json(path, remedy=remedy)
    try:
        if tuple(found["columns"]) != COLUMNS:
            raise ValueError(f"its columns are {found['columns']}")
        interval = float(found["interval"])
        values = {round(at / interval): [float(value) for value in row] for at, *row in found["points"]}
        return StoredTimeline(float(found["started"]), Points(interval, values), dict(found["spent_seconds"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"the file is not a timeline ({error!r})", where=path, remedy=remedy) from None


def timelines(folder: Path) -> list[StoredTimeline]:
    """Those of all processes that worked on a source; none for a source older than them."""
    return [read_timeline(path) for path in SourceFolder(folder).notes("timeline")]


def together(stored: Iterable[StoredTimeline]) -> Points:
    """The points of all processes added up, in intervals of the longest."""
    total = Points()
    for timeline in stored:
        total.include(timeline.points)
    return total
