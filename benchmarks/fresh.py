"""Work in a process of its own, where nothing else was held before: what memory has to be measured in."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

from augrec.artefacts.errors import AugrecError
from benchmarks.timing import one_thread, peak_bytes

T = TypeVar("T")


def in_a_fresh_process(work: Callable[..., T], *arguments: object) -> T:
    """What `work` returns there, with torch on one thread. It and the arguments are pickled.

    Raises:
        AugrecError: the process ended without a result, for want of memory as a rule.
    """
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    worker = context.Process(target=_served, args=(theirs, work, *arguments))
    worker.start()
    theirs.close()
    try:
        return mine.recv()
    except EOFError:
        said = [str(part) for part in arguments if isinstance(part, str | int)]
        what = " ".join([getattr(work, "__name__", "work"), *said])
        raise AugrecError(
            f"the process of '{what}' ended early (exit status {worker.exitcode})",
            remedy="give it more memory, or leave this size out",
        ) from None
    finally:
        worker.join()


def resident_bytes() -> int:
    """What this process holds now, where the system tells; else the most it ever held."""
    try:
        import psutil

        return psutil.Process().memory_info().rss
    except ImportError:
        return peak_bytes()


def _served(end: Connection, work: Callable[..., object], *arguments: object) -> None:
    with one_thread():
        end.send(work(*arguments))
