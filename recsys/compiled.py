"""Functions as machine code: numba compiles one when it is first called, and keeps it for later processes.

For loops over single numbers that no operation of NumPy or torch expresses. What was compiled lies in `__pycache__`
beside the source or, where that cannot be written, in the user's cache folder (NUMBA_CACHE_DIR names another place
before both); it is compiled anew when the function's file, this one, `recsys.compiled_vectors`, numba or the kind of
processor changes. No other file is asked after, so a compiled function takes nothing from any. Where nothing can be
written every process compiles for itself, about a second for each function. numba itself is imported at the first call:
commands that compute nothing do not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, wraps
from hashlib import sha256
from importlib.resources import files
from itertools import pairwise
from typing import ParamSpec, TypeVar

WORTH_LOADING = 2**22  # multiplications of a product from which on it is worth the half second in which numba is loaded
WIDE, NARROW = 64, 16  # lanes of a vector with AVX-512, whose registers hold six sums of 64 numbers, and without
COMMON = ("compiled.py", "compiled_vectors.py")  # what functions are compiled with and from, beside their own files
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

            function.__qualname__ += f"_{_common_code()}"  # numba calls what it keeps after it
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


@cache
def _common_code() -> str:
    """A hash of the modules that are part of every compiled function."""
    return sha256(b"".join(files("recsys").joinpath(name).read_bytes() for name in COMMON)).hexdigest()[:12]


@cache
def lanes_of(width: int) -> int:
    """How many of `width` numbers, a multiple of 16, are one vector on this processor."""
    from llvmlite.binding import get_host_cpu_features

    return WIDE if width % WIDE == 0 and get_host_cpu_features().get("avx512f") else NARROW


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
