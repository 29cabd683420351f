"""CPU time of alternatives, measured in turns, so that a busy machine disturbs all of them alike."""

from __future__ import annotations

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
