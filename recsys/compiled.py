"""Functions as machine code: numba compiles one when it is first called, and keeps it for later processes.

For loops over single numbers that no operation of NumPy or torch expresses. What was compiled lies in `__pycache__`
beside the source or, where that cannot be written, in the user's cache folder (NUMBA_CACHE_DIR names another place
before both); it is compiled anew when the source, numba or the kind of processor changes. Where nothing can be written
every process compiles for itself, about a second for each function. numba itself is imported at the first call:
commands that compute nothing do not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, wraps
from itertools import pairwise
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def compiled(*, any_order: bool = False) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a function of numbers and NumPy arrays, which reads and writes within their bounds: nobody checks.

    Args:
        any_order: whether the terms of a sum may be added in another order, several at a time, and multiplied and added
            in one rounding. Results then depend on the kind of processor in their last bits, as torch's do; else they
            are those of the function in Python, bit for bit.
    """
    allowed = {"reassoc", "contract", "nsz"} if any_order else set()

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        @cache
        def machine_code() -> Callable[P, T]:
            from numba import njit

            try:
                return njit(function, cache=True, nogil=True, fastmath=allowed)
            except RuntimeError:  # numba finds no folder that it may write to
                return njit(function, nogil=True, fastmath=allowed)

        @wraps(function)
        def call(*arguments: P.args, **named: P.kwargs) -> T:
            try:
                return machine_code()(*arguments, **named)
            except OSError:  # the folder is full: what was compiled is there, and was not kept
                return machine_code()(*arguments, **named)

        return call

    return decorated


def shared(work: Callable[[int, int], None], bounds: Sequence[int]) -> None:
    """Calls `work(begin, end)` for each pair of neighbours in `bounds`, in a thread for each where there are several.

    What is compiled leaves the other threads alone meanwhile.
    """
    parts = list(pairwise(bounds))
    if len(parts) == 1:
        work(*parts[0])
        return
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(lambda part: work(*part), parts))
