"""Waiting for something to happen, without a guess of how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.kit.machine_speed import patience

BETWEEN = 0.02
"""Seconds between two looks."""


def wait_until(
    holds: Callable[[], object], what: str, seconds: float = 120.0, lost: Callable[[], object] = lambda: None
) -> None:
    """Looks again and again until something holds.

    Args:
        holds: looks.
        what: is waited for, for the message.
        seconds: of the reference machine, after which the test fails.
        lost: why it cannot hold any more (a process has ended, say), for the message; nothing while it can.
    """
    end = time.monotonic() + patience(seconds)
    while not holds():
        reason = lost()
        assert not reason or holds(), f"{what} cannot happen any more: {reason}"
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(BETWEEN)
