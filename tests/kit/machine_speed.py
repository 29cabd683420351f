"""How slow this machine is now, against the one that the limits of tests were written for.

A limit that is one number is too short on a slow or busy machine and too long on a fast one. Limits here are seconds
of an idle core with avx512_bf16, and are stretched by what a small fixed piece of work takes now. What a busy neighbour
takes away counts like a slower processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from augrec.artefacts.processor import format_by_flags, processor_flags

REFERENCE_SECONDS = {"interpreter": 0.030, "product": 0.027}
"""What the two pieces of work take there, when nothing else runs."""
ROUNDS = 8
"""Pieces of work in one measurement: long enough to meet the neighbours' turns on the core."""
PRODUCTS = 30
SECONDS_FRESH = 60.0
"""A measurement is used so long; load comes and goes."""
MOST = 40.0
"""A machine slower than this is taken to be stuck: a test that hangs has to end some day."""

Measured = dict[str, tuple[float, float]]
"""Per piece of work: when it was measured, on the monotonic clock, and how many times as long it took."""


def slowness(
    *, engine: bool = False, clock: Callable[[], float] = time.perf_counter, known: Measured | None = None
) -> float:
    """How many times as long work takes here as on the reference, 1 to `MOST`.

    Args:
        engine: for a language model: half interpreter, half matrix products in the format it is computed in.
        clock: seconds.
        known: measurements that are used while they are fresh; by default those of this process.
    """
    parts = {"interpreter": _interpreter} | ({"product": _product()} if engine else {})
    measured = _KNOWN if known is None else known
    return stretched([_fresh(name, work, clock, measured) for name, work in parts.items()])


def stretched(factors: list[float]) -> float:
    """The mean of several factors within the bounds; never less than 1, so that a fast machine changes nothing."""
    return min(max(sum(factors) / len(factors), 1.0), MOST)


def patience(seconds: float) -> float:
    """So many seconds of the reference, on this machine as it is now: for waits inside a test."""
    return seconds * slowness()


_KNOWN: Measured = {}


def _fresh(name: str, work: Callable[[], object], clock: Callable[[], float], known: Measured) -> float:
    measured, factor = known.get(name, (0.0, 0.0))
    if not factor or time.monotonic() - measured > SECONDS_FRESH:
        work()  # what is made once is no part of it
        began = clock()
        for _ in range(ROUNDS):
            work()
        factor = (clock() - began) / ROUNDS / REFERENCE_SECONDS[name]
        known[name] = (time.monotonic(), factor)
    return factor


def _interpreter() -> int:
    return sum(hash((number, str(number))) & 7 for number in range(250_000))


def _product() -> Callable[[], object]:
    import torch

    known = format_by_flags(processor_flags())
    dtype: Any = getattr(torch, known.dtype if known else "float32")
    rows, weight = torch.ones(256, 576, dtype=dtype), torch.ones(1536, 576, dtype=dtype)

    def multiply() -> object:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return [torch.nn.functional.linear(rows, weight) for _ in range(PRODUCTS)]
        finally:
            torch.set_num_threads(threads)

    return multiply
