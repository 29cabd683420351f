"""Writes how fast a source was answered: one small file per process, which its later runs continue.

See `augrec.artefacts.timelines` for what is in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from augment.messages import Record
from augrec.artefacts.files import write_text
from augrec.artefacts.timelines import COLUMNS, MOST_POINTS, Points, read_timeline, timelines

SECONDS_BETWEEN_WRITES = 5.0


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
        earlier = read_timeline(path) if path.exists() else None
        self._started = earlier.started if earlier else None
        self._points = earlier.points if earlier else Points()
        self._spent = earlier.spent if earlier else {}
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


def spent(folder: Path) -> dict[str, Any]:
    """Seconds that the meters of all processes of a source added up to, by name."""
    total: dict[str, float] = {}
    for stored in timelines(folder):
        for name, seconds in stored.spent.items():
            total[name] = round(total.get(name, 0.0) + seconds, 4)
    return total
