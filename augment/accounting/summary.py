"""What a source did: counts over its records, and engine seconds."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from augment.messages import Record
from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.source_folder import SourceFolder

SECONDS_ARE = (
    "wall-clock seconds of generating, summed over all runs of this source, engine start left out; "
    "shared among tasks that run at the same time by how long their requests were in the batch"
)


@dataclass
class TaskCounts:
    """Counts over the records of one task."""

    requests: int = 0
    attempts: int = 0
    ok: int = 0
    failed: int = 0
    failed_by_reason: Counter[str] = field(default_factory=Counter)
    first_attempt_ok: int = 0
    repaired: int = 0
    shortened: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    stale: int = 0
    engines: Counter[str] = field(default_factory=Counter)
    """How many records each engine made, by the name of its description."""

    def add(self, record: Record) -> None:
        """Counts one record."""
        self.requests += 1
        self.attempts += record.attempt if record.prompt_tokens else 0
        self.ok += record.status == "ok"
        self.failed += record.status == "failed"
        if record.reason:
            self.failed_by_reason[record.reason.partition(":")[0]] += 1
        self.first_attempt_ok += record.status == "ok" and record.attempt == 1
        self.repaired += bool(record.repairs)
        self.shortened += record.dropped_history > 0
        self.prompt_tokens += record.prompt_tokens
        self.completion_tokens += record.completion_tokens
        self.cached_tokens += record.cached_tokens
        self.engines[record.engine] += 1

    def summary(self, seconds: float) -> dict[str, Any]:
        """The task's part of the summary. Rates are None where nothing was generated."""
        return asdict(self) | {
            "failed_by_reason": dict(sorted(self.failed_by_reason.items())),
            "engines": dict(sorted(self.engines.items())),
            "seconds": round(seconds, 3),
            "completion_tokens_per_second": _ratio(self.completion_tokens, seconds),
            "prompt_tokens_per_second": _ratio(self.prompt_tokens, seconds),
            "prefix_cache_hit_rate": _ratio(self.cached_tokens, self.prompt_tokens),
        }


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if part and whole else None


class Seconds:
    """Engine seconds per task, kept in a small file that is replaced whole, so that they add up over runs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: defaultdict[str, float] = defaultdict(float, read_json(path) if path.exists() else {})
        self._busy: defaultdict[str, float] = defaultdict(float)
        self._mark = time.monotonic()

    def begin(self) -> None:
        """Time before this is not counted."""
        self._mark = time.monotonic()

    def add(self, task: str, busy: float) -> None:
        """Says that a request of a task was answered after `busy` seconds in the batch."""
        self._busy[task] += max(busy, 1e-6)

    def share_every(self, seconds: float) -> bool:
        """Shares when the last time is this long ago; whether it did."""
        due = time.monotonic() - self._mark >= seconds
        if due:
            self.share()
        return due

    def share(self) -> None:
        """Gives the time since the last call among the tasks answered meanwhile, and writes the file."""
        now = time.monotonic()
        total = sum(self._busy.values())
        if total:
            for task, busy in self._busy.items():
                self._seconds[task] += (now - self._mark) * busy / total
            self._mark = now
            self._busy.clear()
            write_json(self._path, dict(self._seconds))


def seconds_of(folder: Path, task: str) -> float:
    """Seconds of one task over all processes that worked on a source."""
    return sum(read_json(path).get(task, 0.0) for path in SourceFolder(folder).notes("seconds"))
