"""Pages of 2 MiB for large tensors on the CPU: asked for, or kept away where they cost more than they give.

With pages of 4 KiB every row that is read at random from a large table costs a look-up of its address, twice where
the machine is virtual. Linux gives larger ones to those who ask (transparent huge pages, `madvise`); torch asks where a
variable of its own says so, for tensors of 2 MiB and more, and NumPy by itself. No number changes.

The system has to make room for a huge page when it is first touched. That is cheap on an empty machine, and on one that
was used for a while it takes seconds for a table of gigabytes, which only a table that is read again and again repays.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""torch's own (c10/core/impl/alloc_cpu.cpp): 1 asks, 0 does not. It is read once, at a process' first tensor."""
SET_DISABLED, GET_DISABLED = 41, 42
"""PR_SET_THP_DISABLE and PR_GET_THP_DISABLE of Linux' `prctl`."""


def ask_for_huge_pages() -> None:
    """Lets torch ask for them, in this process and in those that it starts, unless the environment decides.

    Has no effect in a process that has made a tensor on the CPU already, nor where the system has no such pages.
    """
    os.environ.setdefault(HUGE_PAGES, "1")


@contextmanager
def ordinary_pages() -> Iterator[None]:
    """No page that this process touches for the first time in the block is a huge one, whoever asks for such.

    Those that are there stay. Processes that are started in the block get none either. Where the system has no such
    switch, or it is set already, nothing is done.
    """
    prctl = _prctl()
    if prctl is None or prctl(GET_DISABLED, 0, 0, 0, 0) != 0:
        yield
        return
    prctl(SET_DISABLED, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(SET_DISABLED, 0, 0, 0, 0)


def _prctl() -> Callable[..., int] | None:
    """The system call, where there is one."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            call: Callable[..., int] = ctypes.CDLL(None).prctl
            return call
    return None
