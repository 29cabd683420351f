"""What was tried on one piece of work: a small append-only file beside its results, the same on a laptop.

A line says when a process began, and how it ended: `done`, `stopped` (asked to, with work left) or `failed` with the
reason. A beginning without an end is a process that was killed. Attempts are counted within one job, so that a new
submission starts counting anew; a stop after some progress does not count.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from augrec.artefacts.confinement import check_inside
from augrec.artefacts.files import said_when_full
from augrec.artefacts.owners import owner_of, this_process

EVENTS = ("start", "done", "stopped", "failed")
Outcome = Literal["new", "running", "killed", "stopped", "failed", "done"]


@dataclass(frozen=True)
class State:
    """How a piece of work stands."""

    outcome: Outcome
    last: dict[str, Any]
    """The last line; empty when there is none."""
    seconds: float
    """What finished attempts took together."""


def job_id() -> str | None:
    """The SLURM job this process belongs to, one for all tasks and restarts of an array."""
    return os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")


class Attempts:
    """The attempts on one piece of work.

    Args:
        path: the file.
        fingerprint: of what determines the result; lines with another one do not count.
    """

    def __init__(self, path: Path, fingerprint: str | None) -> None:
        self.path, self.fingerprint = path, fingerprint

    def begin(self) -> None:
        """Says that this process begins."""
        self._append(
            "start",
            **this_process(shared=False).place(),
            task=os.environ.get("SLURM_ARRAY_TASK_ID"),
            log=os.environ.get("AUGREC_LOG"),
        )

    def end(self, outcome: Literal["done", "stopped", "failed"], **facts: Any) -> None:
        """Says how it ended; `progress` for a stop, `reason` for a failure."""
        self._append(outcome, **facts)

    def tries(self, job: str | None) -> int:
        """How many attempts of a job came to nothing."""
        count = 0
        for line in self._lines():
            if line.get("job") == job:
                count += line["event"] == "start"
                count -= line["event"] == "done" or bool(line["event"] == "stopped" and line.get("progress"))
        return count

    def state(self) -> State:
        """How the work stands now."""
        lines = self._lines()
        if not lines:
            return State("new", {}, 0.0)
        seconds, begun = 0.0, None
        for line in lines:
            if line["event"] == "start":
                begun = line
            elif begun is not None:
                seconds += max(0.0, line["time"] - begun["time"])  # a clock that was set back meanwhile
        last = lines[-1]
        outcome: Outcome = last["event"] if last["event"] != "start" else "running" if _alive(last) else "killed"
        return State(outcome, last if begun is None else {**begun, **last}, seconds)

    def _lines(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        lines = []
        for text in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue  # torn by a kill
            if not isinstance(line, dict) or line.get("print") != self.fingerprint:
                continue
            if line.get("event") in EVENTS and isinstance(line.get("time"), int | float):
                lines.append(line)
        return lines

    def _append(self, event: str, **facts: Any) -> None:
        line = {"event": event, "time": round(time.time(), 2), "job": job_id(), "print": self.fingerprint, **facts}
        check_inside(self.path)
        with said_when_full(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(handle, ("\n" if self._torn() else "").encode() + (json.dumps(line) + "\n").encode())
                os.fsync(handle)
            finally:
                os.close(handle)

    def _torn(self) -> bool:
        content = self.path.read_bytes()
        return bool(content) and not content.endswith(b"\n")


def _alive(begun: dict[str, Any]) -> bool:
    """Whether the process of a line still runs; on another machine it is taken to, until SLURM says otherwise."""
    owner = owner_of(begun)
    return owner is None or owner.life() != "dead"
