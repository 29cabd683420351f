"""Functions as machine code: numba compiles one when it is first called, and keeps it for later processes.

For loops over single numbers that no operation of NumPy or torch expresses. What was compiled lies in `__pycache__`
beside the source or, where that cannot be written, in the user's cache folder (NUMBA_CACHE_DIR names another place
before both); it is compiled anew when the source, numba or the kind of processor changes. Where nothing can be written
every process compiles for itself, about a second for each function. numba itself is imported at the first call:
commands that compute nothing do not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """The same function as machine code; decorates functions of numbers and NumPy arrays.

    Sums are taken in the order in which they are written: results are those of the function in Python, bit for bit.
    """

    @cache
    def machine_code() -> Callable[P, T]:
        from numba import njit

        try:
            return njit(function, cache=True, nogil=True)
        except RuntimeError:  # numba finds no folder that it may write to
            return njit(function, nogil=True)

    @wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return machine_code()(*arguments, **named)
        except OSError:  # the folder is full: what was compiled is there, and was not kept
            return machine_code()(*arguments, **named)

    return call
