"""Progress of long work: a bar with rate and ETA on a terminal, plain lines where output goes to a file.

Lines come every ten seconds, whether or not a unit was finished meanwhile: slow work must not look as if it had died.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_NOTES = 1.0
SECONDS_BEFORE_SAID = 1.0
QUIET = "AUGREC_QUIET"
"""The variable of the environment that is 1 while nothing is to be said of progress, in child processes too."""


class Ticker(Protocol):
    """What the code that does the work sees of its progress."""

    def advance(self, done: int = 1) -> None:
        """Says that `done` more units are finished."""

    def skip(self, done: int = 1) -> None:
        """Takes `done` units out of the total: an earlier run finished them, so they say nothing of the rate."""

    def expect(self, left: int) -> None:
        """Says how many units are still to be finished, where that is known better now."""

    def note(self, text: str) -> None:
        """Shows a short state beside the count, e.g. the current loss."""


def rate_in_words(done: float, seconds: float) -> str:
    """ "3.8/s", or "5 s each" where less than one is done in a second; "" before the first is done."""
    if not done:
        return ""
    each = max(seconds, 1e-9) / done
    return f"{1 / each:.1f}/s" if each <= 1 else f"{each:.2g} s each" if each < 100 else f"{each:.0f} s each"


def is_quiet() -> bool:
    """Whether nothing is to be said of progress."""
    return os.environ.get(QUIET) == "1"


def say(text: str) -> None:
    """One line on stderr, at once; nothing where the user wants it quiet."""
    if not is_quiet():
        print(text, file=sys.stderr, flush=True)


class _Bar:
    def __init__(self, bar: RichProgress, task: int, total: int, pulse: Callable[[], str] | None) -> None:
        self._bar, self._task, self._total, self._pulse = bar, task, total, pulse
        self._started, self._done, self._note = time.monotonic(), 0, ""

    def advance(self, done: int = 1) -> None:
        self._done += done
        rate = rate_in_words(self._done, time.monotonic() - self._started)
        self._bar.update(self._task, advance=done, rate=rate)  # type: ignore[arg-type]

    def skip(self, done: int = 1) -> None:
        self._total -= done
        self._bar.update(self._task, total=self._total)  # type: ignore[arg-type]

    def expect(self, left: int) -> None:
        self.skip(self._total - self._done - left)

    def note(self, text: str) -> None:
        self._note = text
        self.look()

    def look(self) -> None:
        """Shows the note, and the life sign of the work where it gives one."""
        self._bar.update(self._task, note=_joined(self._note, self._pulse))  # type: ignore[arg-type]


class _Lines:
    def __init__(self, title: str, total: int, unit: str, pulse: Callable[[], str] | None) -> None:
        self._title, self._total, self._unit, self._pulse = title, total, unit, pulse
        self._started = self._printed = time.monotonic()
        self._done, self._note = 0, ""
        self._lock = threading.Lock()

    def advance(self, done: int = 1) -> None:
        self._done += done
        self.look()

    def skip(self, done: int = 1) -> None:
        self._total -= done

    def expect(self, left: int) -> None:
        self._total = self._done + left

    def note(self, text: str) -> None:
        self._note = text

    def look(self) -> None:
        """Prints a line when the last is long enough ago."""
        with self._lock:
            now = time.monotonic()
            if now - self._printed < SECONDS_BETWEEN_LINES:
                return
            self._printed = now
        self.print()

    def print(self, *, ended: bool = False) -> None:
        seconds = time.monotonic() - self._started
        rate = rate_in_words(self._done, seconds)
        left = (
            f"ETA {(self._total - self._done) * seconds / self._done:.0f} s" if self._done else f"for {seconds:.0f} s"
        )
        parts = (
            f"{self._done}/{self._total} {self._unit}",
            rate,
            f"took {seconds:.0f} s" if ended else left,
            _joined(self._note, None if ended else self._pulse),
        )
        say("  ".join((self._title, *(part for part in parts if part))))


def _joined(note: str, pulse: Callable[[], str] | None) -> str:
    return ", ".join(part for part in (note, pulse() if pulse else "") if part)


@contextmanager
def progress(title: str, total: int, unit: str, pulse: Callable[[], str] | None = None) -> Iterator[Ticker]:
    """Shows progress of `total` units on stderr while the block runs.

    Args:
        title: what is done.
        total: how many units.
        unit: what is counted, in the plural.
        pulse: a short life sign of the work, shown while no unit is finished, too. Called on another thread.
    """
    console = Console(stderr=True)
    if not console.is_terminal or is_quiet():
        lines = _Lines(title, total, unit, pulse)
        with _every(max(SECONDS_BETWEEN_LINES, 1.0), lines.look):
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
        ticker = _Bar(bar, bar.add_task(f"{title} ({unit})", total=total, rate="", note=""), total, pulse)
        with _every(SECONDS_BETWEEN_NOTES, ticker.look):
            yield ticker


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says on stderr that something began, once it takes a second, and every ten seconds how long it has taken.

    The lines arrive where stderr went when the block began, also if the work sends it elsewhere meanwhile.
    """
    with _present_stderr() as out:
        began = time.monotonic()

        def sign() -> None:
            seconds = time.monotonic() - began
            passed = f"  {seconds:.0f} s" if seconds > SECONDS_BETWEEN_LINES else ""
            if not is_quiet():
                print(f"{what}{passed}", file=out, flush=True)

        with _every(SECONDS_BETWEEN_LINES, sign, first=SECONDS_BEFORE_SAID):
            yield


@contextmanager
def _present_stderr() -> Iterator[TextIO]:
    sys.stderr.flush()
    try:
        copy = os.dup(sys.stderr.fileno())
    except (OSError, io.UnsupportedOperation, AttributeError):
        yield sys.stderr
        return
    with os.fdopen(copy, "w", encoding="utf-8", errors="replace") as out:
        yield out


@contextmanager
def _every(seconds: float, do: Callable[[], None], first: float | None = None) -> Iterator[None]:
    """Calls `do` again and again on a thread of its own while the block runs."""
    over = threading.Event()

    def watch() -> None:
        pause = seconds if first is None else first
        while not over.wait(pause):
            do()
            pause = seconds

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
