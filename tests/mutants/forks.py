"""Work in child processes, each with a time after which it is taken to loop for ever."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

NOTICED, SURVIVED, ENDLESS = "noticed", "survived", "endless"


@dataclass(frozen=True)
class Limits:
    """When a child is ended.

    Args:
        computed: seconds of the CPU, which other work on the machine does not make more.
        waited: seconds of the clock, for who waits and never computes.
    """

    computed: float
    waited: float


def forked(work: Callable[[], int], limits: Limits | None) -> int:
    """Starts work in a child process, silent and in a group of its own; returns its number."""
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)  # a group of its own, in the session, and so with the share of the CPU, of who started it
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    if limits is not None:
        signal.setitimer(signal.ITIMER_PROF, limits.computed)  # their signals end the process
        signal.setitimer(signal.ITIMER_REAL, limits.waited)
    status = 70
    try:
        status = work()
    finally:
        os._exit(status)


def outcome(status: int) -> str:
    """What a child's exit status says of its mutant."""
    if os.WIFSIGNALED(status):
        return ENDLESS if os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM) else NOTICED
    return NOTICED if os.WEXITSTATUS(status) else SURVIVED


def in_turns(numbers: Iterable[int], start: Callable[[int], int], jobs: int) -> Iterator[tuple[int, str]]:
    """Every number with the outcome of the process that was started for it, `jobs` at a time."""
    running: dict[int, int] = {}
    waiting = iter(numbers)
    while True:
        while len(running) < jobs and (at := next(waiting, None)) is not None:
            running[start(at)] = at
        if not running:
            return
        child, status = os.wait()
        if child not in running:
            continue
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what the tests themselves started
        yield running.pop(child), outcome(status)
