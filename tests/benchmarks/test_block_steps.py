"""Steps of an engine, counted by hand and against one that is stepped token by token."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.block_steps import DEFAULT, in_blocks, in_rounds, measure, steps


def stepped(lengths: list[int], batch: int) -> int:
    """As an engine does it."""
    waiting, running, taken = list(lengths), [], 0
    while waiting or running:
        while waiting and len(running) < batch:
            running.append(waiting.pop(0))
        running = [left - 1 for left in running if left > 1]
        taken += 1
    return taken


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_steps_are_those_of_a_loop(batch: int) -> None:
    lengths = np.random.default_rng(batch).integers(1, 12, 40).tolist()
    assert steps(lengths, batch) == stepped(lengths, batch)
    assert steps(lengths, 1) == sum(lengths)
    assert steps([], batch) == 0


def test_a_block_and_a_round_each_wait_for_their_longest() -> None:
    requests = [[2], [5, 5], [1], [3]]
    assert in_rounds(requests, 2) == 6 + 5  # 2 and 5, then 1, then 3 from the third step on; then what failed again
    assert in_blocks(requests, 2, 1) == (5 + 5) + 3
    assert in_blocks(requests, 2, 2) == in_rounds(requests, 2)


def test_larger_blocks_cost_fewer_steps_and_the_default_is_marked() -> None:
    lengths = np.random.default_rng(0).integers(1, 50, 400)
    found = measure([[int(length)] for length in lengths], 4)
    values = [result.value for result in found]
    assert values == sorted(values, reverse=True)
    assert [f"block: {DEFAULT} (default)" in result.name for result in found].count(True) == 1
