"""Memory of large tensors on the CPU that is kept from one step of a training to the next.

The C library gives a block of more than 32 MiB back to the system as soon as it is free. A step of a training frees
and takes the same tables again and again, and each time the system has to find pages, which takes longest for huge
ones (`augrec.artefacts.huge_pages`), and to clear them: up to a fifth of a step. No number changes.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

MMAP_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -4, -3, -1
"""Parameters of glibc's `mallopt`, see its manual page."""
LIMITS = ("mmap_max", "mmap_threshold", "trim_threshold")
"""What they are called in variables of the environment."""
KEEPING = ((MMAP_MAX, 0), (TRIM_THRESHOLD, -1))
AS_BEFORE = ((MMAP_MAX, 65_536), (MMAP_THRESHOLD, 32 * 2**20), (TRIM_THRESHOLD, 64 * 2**20))
"""What glibc comes with, and the thresholds that it reaches by itself once a large block was freed."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """From the first step of an optimiser in the block on, this process keeps what it frees for what it takes next.

    At the block's end all goes back. What a model is built from is not kept: it would lie beside the tables, which do
    not fit into its place. Somewhat more than the peak is held, for the same reason. Nothing is done where the C
    library is not GNU's, or where the environment says when it gives memory back; and nothing is kept for a training in
    a thread beside the main one, for which the library maps every large block anew.
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
