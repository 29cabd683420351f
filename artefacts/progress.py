"""Progress of long work: a bar with rate and ETA on a terminal, plain lines where output goes to a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

SECONDS_BETWEEN_LINES = 10.0


class Ticker(Protocol):
    """What the code that does the work sees of its progress."""

    def advance(self, done: int = 1) -> None:
        """Says that `done` more units are finished."""

    def skip(self, done: int = 1) -> None:
        """Takes `done` units out of the total: an earlier run finished them, so they say nothing of the rate."""

    def note(self, text: str) -> None:
        """Shows a short state beside the count, e.g. the current loss."""


class _Bar:
    def __init__(self, bar: RichProgress, task: int, total: int) -> None:
        self._bar, self._task, self._total = bar, task, total
        self._started, self._done = time.monotonic(), 0

    def advance(self, done: int = 1) -> None:
        self._done += done
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        self._bar.update(self._task, advance=done, rate=f"{rate:.1f}/s")  # type: ignore[arg-type]

    def skip(self, done: int = 1) -> None:
        self._total -= done
        self._bar.update(self._task, total=self._total)  # type: ignore[arg-type]

    def note(self, text: str) -> None:
        self._bar.update(self._task, note=text)  # type: ignore[arg-type]


class _Lines:
    def __init__(self, title: str, total: int, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._started = self._printed = time.monotonic()
        self._done, self._note = 0, ""

    def advance(self, done: int = 1) -> None:
        self._done += done
        now = time.monotonic()
        if now - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = now
            self.print()

    def skip(self, done: int = 1) -> None:
        self._total -= done

    def note(self, text: str) -> None:
        self._note = text

    def print(self, *, ended: bool = False) -> None:
        seconds = max(time.monotonic() - self._started, 1e-9)
        rate = self._done / seconds
        left = (self._total - self._done) / rate if rate else float("inf")
        eta = f"took {seconds:.0f} s" if ended else f"ETA {left:.0f} s"
        note = f"  {self._note}" if self._note else ""
        print(
            f"{self._title}  {self._done}/{self._total} {self._unit}  {rate:.1f}/s  {eta}{note}",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def progress(title: str, total: int, unit: str) -> Iterator[Ticker]:
    """Shows progress of `total` units on stderr while the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        lines = _Lines(title, total, unit)
        yield lines
        lines.print(ended=True)
        return
    fixed, flexible = Column(no_wrap=True, min_width=8), Column(no_wrap=True, ratio=1)
    columns = (
        TextColumn("[bold]{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=16),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[rate]}", table_column=Column(no_wrap=True)),
        TextColumn("ETA"),
        TimeRemainingColumn(table_column=fixed),
        TextColumn("{task.fields[note]}", style="dim", markup=False, table_column=flexible),
    )
    with RichProgress(*columns, console=console, expand=True) as bar:
        yield _Bar(bar, bar.add_task(f"{title} ({unit})", total=total, rate="", note=""), total)
