"""What is left is judged by what was met, so that passing answered questions over promises nothing wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from augment.accounting.remaining import Remaining

BLOCK = 10


def promises(answered: Sequence[bool], records: int) -> list[tuple[int, int]]:
    """(what was promised, what was true) before each block, the block's own questions included."""
    remaining, pairs = Remaining(records), []
    for begin in range(0, len(answered), BLOCK):
        block = answered[begin : begin + BLOCK]
        missing = sum(not known for known in block)
        remaining.meet(len(block), missing)
        promised = missing + remaining.among(len(answered) - remaining.asked)
        pairs.append((promised, sum(not known for known in answered[begin:])))
    return pairs


def test_a_few_open_questions_among_many_answered_ones() -> None:
    answered = [number % 100 != 7 for number in range(2000)]
    pairs = promises(answered, sum(answered))
    assert all(true <= promised <= 2 * true + 1 for promised, true in pairs[10:])
    assert pairs[0] == (2000 // BLOCK, 20), "the first block speaks for all"


@pytest.mark.parametrize("done", [0, 500, 990, 1000])
def test_an_interrupted_run_is_promised_exactly(done: int) -> None:
    assert all(promised == true for promised, true in promises([n < done for n in range(1000)], done))


def test_records_of_other_questions_promise_nothing() -> None:
    assert all(promised == true for promised, true in promises([False] * 1000, records=1000))


def test_nothing_is_left_at_the_end() -> None:
    for records in (0, 3, 100):
        assert promises([True] * 50 + [False] * 50, records)[-1] == (10, 10)
