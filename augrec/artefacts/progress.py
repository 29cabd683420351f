"""Progress of long work: a bar with rate and ETA on a terminal, plain lines where output goes to a file.

Lines come every ten seconds, whether or not a unit was finished meanwhile: slow work must not look as if it had died.
"""

from __future__ import annotations

import io
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

from augrec.artefacts.run_log import AtWork, heard, log_line, show, silent_for

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_NOTES = 1.0
SECONDS_BETWEEN_STATES = 2.0
"""How often others are told how it stands."""
SECONDS_BEFORE_SAID = 1.0
QUIET = "AUGREC_QUIET"
"""The variable of the environment that is 1 while nothing is to be said of progress, in child processes too."""


_steps: list[str] = []
_counting: list[object] = []
"""What gives lines of its own at present."""


class Ticker(Protocol):
    """What the code that does the work sees of its progress."""

    def advance(self, done: int = 1) -> None:
        """Says that `done` more units are finished."""

    def fail(self, failed: int = 1) -> None:
        """Says that `failed` more units ended and are not finished: they count for the rate alone."""

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


def clock(seconds: float) -> str:
    """A time as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def say(text: str) -> None:
    """One line on stderr, at once, and in the log; on stderr not where the user wants it quiet."""
    log_line(text)
    if not is_quiet():
        print(text, file=sys.stderr, flush=True)


class _Count:
    """What is finished of what there is, with what earlier runs finished; its lines come every ten seconds.

    Args:
        title, total, unit, pulse, whole: see `progress`.
        shown: whether lines go to stderr too.
    """

    def __init__(
        self, title: str, total: int, unit: str, pulse: Callable[[], str] | None, whole: int | None, *, shown: bool
    ) -> None:
        self._title, self._total, self._unit, self._pulse, self._whole = title, total, unit, pulse, whole
        self._shown = shown
        self._started = self._printed = time.monotonic()
        self._written = -math.inf
        self._done, self._failed, self._note = 0, 0, ""
        self._lock = threading.Lock()

    def advance(self, done: int = 1) -> None:
        self._done += done
        self.look()

    def fail(self, failed: int = 1) -> None:
        self._failed += failed
        self.look()

    def skip(self, done: int = 1) -> None:
        self._total -= done

    def expect(self, left: int) -> None:
        self._total = self._ended + left

    def note(self, text: str) -> None:
        self._note = text

    def look(self) -> None:
        """Prints a line when the last is long enough ago, and tells others how it stands."""
        with self._lock:
            now = time.monotonic()
            line, state = now - self._printed >= SECONDS_BETWEEN_LINES, now - self._written >= SECONDS_BETWEEN_STATES
            self._printed, self._written = (now if line else self._printed), (now if state else self._written)
        if line:
            self.print()
        if state:
            self.tell()

    def print(self, *, ended: bool = False) -> None:
        seconds = time.monotonic() - self._started
        left = f"ETA {clock(self.seconds_left or 0)}" if self._ended else f"for {seconds:.0f} s"
        done, whole = self.counted
        parts = (
            f"{done}/{whole} {self._unit}",
            rate_in_words(self._ended, seconds),
            f"took {seconds:.0f} s" if ended else left,
            self.said(None if ended else self._pulse),
        )
        line = "  ".join((self._title, *(part for part in parts if part)))
        (say if self._shown else log_line)(line)

    def tell(self) -> None:
        done, whole = self.counted
        each = (time.monotonic() - self._started) / self._ended if self._ended else None
        show(AtWork(self._title, done, whole, self._unit, each, self.seconds_left, self.said(self._pulse)))

    def said(self, pulse: Callable[[], str] | None) -> str:
        """What failed, the note, and the life sign of the work where it gives one."""
        failed = f"{self._failed} failed" if self._failed else ""
        return ", ".join(part for part in (failed, self._note, pulse() if pulse else "") if part)

    @property
    def counted(self) -> tuple[int, int]:
        """What is finished, and what there is."""
        whole = self._total if self._whole is None else self._whole
        return max(whole - (self._total - self._done), 0), whole

    @property
    def seconds_left(self) -> float | None:
        """By what ended since this began."""
        if not self._ended:
            return None
        return (self._total - self._ended) * (time.monotonic() - self._started) / self._ended

    @property
    def _ended(self) -> int:
        return self._done + self._failed


class _Bar(_Count):
    """The same with a bar on a terminal; its lines go to the log alone."""

    def __init__(
        self, title: str, total: int, unit: str, pulse: Callable[[], str] | None, whole: int | None, bar: RichProgress
    ) -> None:
        super().__init__(title, total, unit, pulse, whole, shown=False)
        self._bar = bar
        self._task = bar.add_task(f"{title} ({unit})", total=total, rate="", left="", note="")

    def look(self) -> None:
        """See `_Count.look`; draws the bar anew."""
        done, whole = self.counted
        left = "" if self.seconds_left is None else f"ETA {clock(self.seconds_left)}"
        rate = rate_in_words(self._ended, time.monotonic() - self._started)
        note = self.said(self._pulse)
        self._bar.update(self._task, completed=done, total=whole, rate=rate, left=left, note=note)  # type: ignore[arg-type]
        heard()
        super().look()

    def note(self, text: str) -> None:
        super().note(text)
        self.look()


@contextmanager
def progress(
    title: str, total: int, unit: str, pulse: Callable[[], str] | None = None, *, whole: int | None = None
) -> Iterator[Ticker]:
    """Shows progress of `total` units on stderr while the block runs.

    Args:
        title: what is done.
        total: how many units are to be finished now.
        unit: what is counted, in the plural.
        pulse: a short life sign of the work, shown while no unit is finished, too. Called on another thread.
        whole: how many units there are with those that earlier runs finished; they say nothing of the rate.
    """
    console = Console(stderr=True)
    if not console.is_terminal or is_quiet():
        lines = _Count(title, total, unit, pulse, whole, shown=True)
        with _ticking(lines):
            yield lines
        lines.print(ended=True)
        return
    columns = (
        TextColumn("[bold]{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=16),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[rate]}", table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True, min_width=11)),
        TextColumn("{task.fields[note]}", style="dim", markup=False, table_column=Column(no_wrap=True, ratio=1)),
    )
    with RichProgress(*columns, console=console, expand=True) as bar:
        ticker = _Bar(title, total, unit, pulse, whole, bar)
        with _ticking(ticker):
            yield ticker
    ticker.print(ended=True)


@contextmanager
def _ticking(count: _Count) -> Iterator[None]:
    """Looks at a count every second while the block runs; at the end it is told how far it came, however it ended."""
    count.tell()
    _counting.append(count)
    try:
        with _every(SECONDS_BETWEEN_NOTES, count.look):
            yield
    finally:
        _counting.remove(count)
        count.tell()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says on stderr that something began, once it takes a second, and every ten seconds how long it has taken.

    The lines arrive where stderr went when the block began, also if the work sends it elsewhere meanwhile.
    """
    with _present_stderr() as out:
        began = time.monotonic()

        def sign() -> None:
            seconds = time.monotonic() - began
            line = what + (f"  {seconds:.0f} s" if seconds > SECONDS_BETWEEN_LINES else "")
            log_line(line)
            show(AtWork(what))
            if not is_quiet():
                print(line, file=out, flush=True)

        _counting.append(sign)
        try:
            with _every(SECONDS_BETWEEN_LINES, sign, first=SECONDS_BEFORE_SAID):
                yield
        finally:
            _counting.remove(sign)


@contextmanager
def signs_of_life(title: str) -> Iterator[None]:
    """Says every ten seconds that work goes on while nothing else is said of it, and what `step` named last."""
    began = time.monotonic()
    _steps.append("")

    def sign() -> None:
        if not _counting and silent_for() >= SECONDS_BETWEEN_LINES:
            doing = f"  {_steps[-1]}" if _steps[-1] else ""
            say(f"{title}{doing}  at work for {time.monotonic() - began:.0f} s")
            show(AtWork(title, note=_steps[-1]))

    heard()
    try:
        with _every(SECONDS_BETWEEN_NOTES, sign):
            yield
    finally:
        _steps.pop()


def step(text: str) -> None:
    """Names what is done now, for the signs of life of the work it belongs to."""
    if _steps:
        _steps[-1] = text


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
