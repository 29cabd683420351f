"""CPU time of alternatives, measured in turns, so that a busy machine disturbs all of them alike."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch


def best_cpu_seconds(alternatives: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The smallest CPU time of this process, over all its threads, that each alternative took in `repeats` rounds."""
    best = dict.fromkeys(alternatives, float("inf"))
    for _ in range(repeats):
        for name, work in alternatives.items():
            begun = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - begun)
    return best


@contextmanager
def one_thread() -> Iterator[None]:
    """torch on one CPU thread; afterwards as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def best_seconds(
    alternatives: Mapping[str, Callable[[], object]], repeats: int, where: torch.device
) -> dict[str, float]:
    """`best_cpu_seconds` after a round that is not counted; on a GPU the wall time until its work is done."""
    for work in alternatives.values():
        work()
    if where.type != "cuda":
        return best_cpu_seconds(alternatives, repeats)
    best = dict.fromkeys(alternatives, float("inf"))
    for _ in range(repeats):
        for name, work in alternatives.items():
            torch.cuda.synchronize(where)
            begun = time.perf_counter()
            work()
            torch.cuda.synchronize(where)
            best[name] = min(best[name], time.perf_counter() - begun)
    return best


def device() -> torch.device:
    """The GPU when torch sees one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def peak_bytes() -> int:
    """The most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
