"""What is said while a folder is worked on: `run.log` keeps every line, and the present state is there for others.

Each command begins with a header in the log: the date, the version, the command. Processes that it starts append to the
same file. What is at work stands in a small file of each process, which `augrec status` reads; one that was left behind
says how far a process came that was killed or stopped. A log that cannot be written ends no run.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.owners import Owner, here, owner_of, this_process
from augrec.artefacts.visible import visible

MODULES = ("__main__.py", "cli.py")
"""What the command is called where Python is given the module."""


@dataclass(frozen=True)
class AtWork:
    """What a process is at."""

    title: str
    """As on the console, e.g. "augment llm"."""
    done: int = 0
    """What is finished, with what earlier runs finished."""
    total: int = 0
    """0 where nothing is counted."""
    unit: str = ""
    seconds_each: float | None = None
    """By what this process finished; None before it finished anything."""
    seconds_left: float | None = None
    note: str = ""
    part: bool = False
    """Whether it does a part of the stage, and other processes the rest: its count says nothing of the whole."""
    time: float = 0.0
    """When this was written, in seconds since 1970."""
    process: Owner | None = None

    @property
    def alive(self) -> bool:
        """Whether the process may still be there; of another machine's that is not known."""
        return self.process is not None and self.process.life() != "dead"


@dataclass(frozen=True)
class _Open:
    """A folder that this process works on."""

    log: int | None
    """The open file; None where lines are somebody else's affair."""
    state: Path
    part: bool


_opened: list[_Open] = []
_spoken = [time.monotonic()]


@contextmanager
def kept(log: Path | None, states: Path, *, header: bool = False, whole: bool = False) -> Iterator[None]:
    """Keeps what is said while the block runs, also in the folders of blocks around it.

    Args:
        log: the file that lines are appended to; None for none.
        states: the folder of present states.
        header: whether a command begins here.
        whole: whether nobody else works on the folder: states that others left are taken away, and at the end, where it
            is no error, those of the processes that this one started. Otherwise it does a part.
    """
    opened = _Open(_appended(log), states / f"{here().host}-{os.getpid()}.json", not whole)
    if whole:
        _clear(states)
    _opened.append(opened)
    try:
        if header:
            now = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
            program = Path(sys.argv[0]).name
            command = shlex.join(["augrec" if program in MODULES else program, *sys.argv[1:]])
            _append(opened, f"# {now}  augrec {_version()}  {visible(command)}")
        yield
        with suppress(OSError):
            opened.state.unlink(missing_ok=True)
        if whole:
            _clear(states)
    except BaseException as error:
        if header:
            _append(opened, f"# ended: {visible((str(error) or type(error).__name__).splitlines()[0])}")
        raise
    finally:
        _opened.remove(opened)
        if opened.log is not None:
            os.close(opened.log)


def log_line(text: str) -> None:
    """Appends lines to the logs of the folders that are worked on."""
    _spoken[0] = time.monotonic()
    for opened in _opened:
        _append(opened, text)


def heard() -> None:
    """Says that a person saw something happen just now that is no line."""
    _spoken[0] = time.monotonic()


def silent_for() -> float:
    """Seconds since anything was said or shown."""
    return time.monotonic() - _spoken[0]


def show(state: AtWork) -> None:
    """Writes what this process is at, for whoever looks at the innermost of the folders that it works on."""
    if not _opened:
        return
    mine, now = _opened[-1], {"time": round(time.time(), 1), "process": this_process(shared=False).place()}
    with suppress(OSError, AugrecError):
        write_json(mine.state, asdict(state) | now | {"part": mine.part})


def read_states(states: Path) -> list[AtWork]:
    """What processes are at, or were at when they ended, the oldest first; what cannot be read is left out."""
    found = []
    for path in sorted(states.glob("*.json")):
        with suppress(AugrecError, OSError, TypeError):
            content: dict[str, Any] = read_json(path)
            found.append(AtWork(**{**content, "process": owner_of(content.get("process") or {})}))
    return sorted(found, key=lambda state: state.time)


def _appended(log: Path | None) -> int | None:
    if log is None:
        return None
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError:
        return None


def _append(opened: _Open, text: str) -> None:
    if opened.log is not None:
        with suppress(OSError):
            os.write(opened.log, (text.rstrip("\n") + "\n").encode("utf-8", "replace"))


def _clear(states: Path) -> None:
    with suppress(OSError):
        for path in states.glob("*.json"):
            path.unlink(missing_ok=True)
        states.rmdir()


def _version() -> str:
    try:
        return version("augrec")
    except PackageNotFoundError:
        return "(not installed)"
