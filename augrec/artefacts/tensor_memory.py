"""Memory of large tensors on the CPU: in pages of 2 MiB, and kept from one step of a training to the next.

With pages of 4 KiB every row that is read at random from a large table costs a look-up of its address, twice where
the machine is virtual. Linux gives larger ones to those who ask (transparent huge pages, `madvise`); torch asks where a
variable of its own says so, for tensors of 2 MiB and more, and NumPy by itself.

The C library gives a block of more than 32 MiB back to the system as soon as it is free. A step of a training frees
and takes the same tables again and again, and each time the system has to find pages, which takes longest for large
ones, and to clear them: up to a fifth of a step. Neither changes a number.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""torch's own (c10/core/impl/alloc_cpu.cpp): 1 asks, 0 does not. It is read once, at a process' first tensor."""
MMAP_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -4, -3, -1
"""Parameters of glibc's `mallopt`, see its manual page."""
LIMITS = ("mmap_max", "mmap_threshold", "trim_threshold")
"""What they are called in variables of the environment."""
KEEPING = ((MMAP_MAX, 0), (TRIM_THRESHOLD, -1))
AS_BEFORE = ((MMAP_MAX, 65_536), (MMAP_THRESHOLD, 32 * 2**20), (TRIM_THRESHOLD, 64 * 2**20))
"""What glibc comes with, and the thresholds that it reaches by itself once a large block was freed."""


def ask_for_huge_pages() -> None:
    """Lets torch ask for them, in this process and in those that it starts, unless the environment decides.

    Has no effect in a process that has made a tensor on the CPU already, nor where the system has no such pages.
    """
    os.environ.setdefault(HUGE_PAGES, "1")


@contextmanager
def kept_memory() -> Iterator[None]:
    """From the first step of an optimiser in the block on, this process keeps what it frees for what it takes next.

    At the block's end all goes back. What a model is built from is not kept: it would lie beside the tables, which do
    not fit into its place. Somewhat more than the peak is held, for the same reason. Nothing is done where the C
    library is not GNU's, or where the environment says when it gives memory back.
    """
    library = None if _set_by_the_user() else _glibc()
    if library is None:
        yield
        return
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    keeping = False

    def keep(*_: object) -> None:
        nonlocal keeping
        if not keeping:
            keeping = True
            library.malloc_trim(0)
            _set(library, KEEPING)

    first_step = register_optimizer_step_pre_hook(keep)
    try:
        yield
    finally:
        first_step.remove()
        if keeping:
            _set(library, AS_BEFORE)
            library.malloc_trim(0)


def _set_by_the_user() -> bool:
    """Whether a variable of glibc's says when memory is given back."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return any(f"MALLOC_{name.upper()}_" in os.environ or f"malloc.{name}=" in tunables for name in LIMITS)


def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, where it is GNU's."""
    try:
        library = ctypes.CDLL(None)
        _ = library.gnu_get_libc_version, library.mallopt, library.malloc_trim
    except (OSError, AttributeError, TypeError):  # another library; TypeError: a system that has no such handle
        return None
    return library


def _set(library: ctypes.CDLL, parameters: tuple[tuple[int, int], ...]) -> None:
    for parameter, value in parameters:
        library.mallopt(ctypes.c_int(parameter), ctypes.c_int(value))
