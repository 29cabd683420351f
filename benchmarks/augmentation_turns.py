"""Wall and CPU time of alternatives that take turns, and their ratios pair by pair."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Spent:
    """What one turn cost, in seconds; CPU seconds are of all threads (and of processes, where there are several)."""

    wall: float
    cpu: float


Turns = dict[str, list[Spent]]


def in_turns(alternatives: Mapping[str, Callable[[], Spent]], rounds: int) -> Turns:
    """Every alternative once a round; every second round backwards, so that a drift disturbs none more."""
    spent: Turns = {name: [] for name in alternatives}
    for turn in range(rounds):
        for name in list(alternatives) if turn % 2 == 0 else reversed(list(alternatives)):
            spent[name].append(alternatives[name]())
    return spent


def clocked(work: Callable[[], object]) -> Spent:
    """What a piece of work in this process cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def ratio(turns: Turns, over: str, under: str, clock: str = "wall") -> float:
    """How many times as long `over` takes as `under`: the median of the ratios of each round."""
    pairs = zip(turns[over], turns[under], strict=True)
    return statistics.median(getattr(first, clock) / getattr(second, clock) for first, second in pairs)


def median(turns: Turns, name: str, clock: str = "wall") -> float:
    """Seconds of an alternative."""
    return statistics.median(getattr(spent, clock) for spent in turns[name])
