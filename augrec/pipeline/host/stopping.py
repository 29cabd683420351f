"""Ending a run on SIGUSR1, SIGTERM or Ctrl-C: what is finished is kept, and the exit code asks for another go.

A cluster announces the end of a job by SIGUSR1 (as `--signal=B:USR1@300` asks) and takes a job away by SIGTERM. Work
that is answered piece by piece looks at `requested` between two pieces; anything else is interrupted where it is,
which is as safe as being killed, because every file is whole or absent.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

AGAIN = 75
"""The exit code for "try again" (EX_TEMPFAIL): the batch script puts the job back into the queue."""
GRACE_SECONDS = {signal.SIGUSR1: 60.0, signal.SIGTERM: 15.0, signal.SIGINT: 15.0}
"""How long a piece of work may take to end. SLURM kills 30 s after SIGTERM; a second Ctrl-C ends it at once."""
LAST_SECONDS = 10.0


class Stopped(BaseException):
    """The run was asked to stop; nothing is wrong. No Exception, so that nobody takes it for a failure of theirs."""

    exit_code = AGAIN
    remedy = "finished work is kept: run the same command again"

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.what = f"stopped by {signal_name}"

    def __str__(self) -> str:
        return f"{self.what}\n  remedy: {self.remedy}"


class Stopper:
    """Whether this process was asked to stop. Does nothing until `listening`."""

    def __init__(self) -> None:
        self.requested: str | None = None
        """The signal's name, once it came."""
        self._polling = 0
        self._late = False

    @contextmanager
    def listening(self) -> Iterator[Stopper]:
        """Handles the signals while the block runs; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        wanted = (number for number in GRACE_SECONDS if number != signal.SIGINT or _minds_ctrl_c())
        handlers: dict[signal.Signals, Any] = dict.fromkeys(wanted, self._on_request)
        handlers[signal.SIGALRM] = self._on_alarm
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield self
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Keeps SIGUSR1 from processes that are started in the block; one that comes meanwhile is handled after it.

        They inherit that it is blocked: without a handler of their own it would end them. It is not ignored as well,
        because any other thread of this process would then swallow it.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @contextmanager
    def polled(self) -> Iterator[None]:
        """Says that the block looks at `requested` itself and is not to be interrupted."""
        self._polling += 1
        try:
            yield
        finally:
            self._polling -= 1

    def check(self) -> None:
        """Raises Stopped when asked to stop."""
        if self.requested is not None:
            raise self._stopped()

    def _on_request(self, number: int, frame: FrameType | None) -> None:
        if self.requested is not None:
            if number == signal.SIGINT:
                self._interrupt()
            return
        self.requested = signal.Signals(number).name
        signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS[signal.Signals(number)])
        if not self._polling:
            self._interrupt()
        if number == signal.SIGINT:
            os.write(2, b"\nstopping when what is under way is finished; Ctrl-C again stops at once\n")

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        if self._late:
            os._exit(AGAIN)
        self._late = True
        signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS)
        self._interrupt()

    def _interrupt(self) -> NoReturn:
        for child in multiprocessing.active_children():
            child.terminate()  # else a pool would wait for its trainings
        raise self._stopped()

    def _stopped(self) -> Stopped:
        return Stopped(self.requested or "a signal")


def end_at_next_ctrl_c() -> None:
    """For a process that was stopped and is on its way out, which takes seconds: it ends as it would have ended."""
    if _minds_ctrl_c() and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(AGAIN))
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # after that Python gives its handlers back


def _minds_ctrl_c() -> bool:
    """A shell lets what runs in the background ignore it."""
    return signal.getsignal(signal.SIGINT) != signal.SIG_IGN
