"""Child processes: they know what their parent knows, and do not outlive it."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading

from augrec.artefacts.plugins import load_plugins


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
