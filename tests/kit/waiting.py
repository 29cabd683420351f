"""Waiting for something to happen, without a guess of how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.kit.machine_speed import patience


def wait_until(
    holds: Callable[[], object],
    what: str,
    seconds: float = 120.0,
    *,
    between: float = 0.02,
    lost: Callable[[], object] = lambda: None,
    more: Callable[[], object] = lambda: "",
) -> None:
    """Looks again and again until something holds.

    Args:
        holds: looks.
        what: is waited for, for the message.
        seconds: of the reference machine, after which the test fails.
        between: seconds between two looks; more than the default where a look is dear.
        lost: why it cannot hold any more (a process has ended, say), for the message; nothing while it can.
        more: for the message, asked when the wait has failed.
    """
    end = time.monotonic() + patience(seconds)
    while not holds():
        if reason := lost():
            assert holds(), f"{what} cannot happen any more: {reason}\n{more()}"
            return
        assert time.monotonic() < end, f"{what} did not happen\n{more()}"
        time.sleep(between)
