"""Child processes: they know what their parent knows, and do not outlive it."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from augrec.artefacts.plugins import load_plugins


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started in the block do not hear Ctrl-C, which would end them with a traceback while Python
    starts in them: they inherit that it is held back, until `begin_child` ignores it.
    """
    resource_tracker.ensure_running()  # it is started with the first process, and lets go of what is held back
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_child() -> None:
    """What a process does first that was started to do a part of another one's work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its children in order
    end_with_parent()
    load_plugins()


def end_with_parent() -> None:
    """Ends this process when the one that started it dies: a process that waits for work would never notice."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
