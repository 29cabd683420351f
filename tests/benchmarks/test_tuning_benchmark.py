"""The instructions that the ways of tuning are measured with are as long as real ones, and can be learnt."""

from __future__ import annotations

from pathlib import Path

from augrec.artefacts.token_sequences import read_sequences
from benchmarks.tuning import LONGEST, SHORTEST, write_tokens


def test_instructions_are_drawn_with_a_seed_and_their_answers_follow_from_the_prompts(tmp_path: Path) -> None:
    made = [write_tokens(tmp_path / name, 40) for name in ("one", "two")]
    one, two = (list(read_sequences(tmp_path / name)) for name in ("one", "two"))
    assert one == two
    assert made == [sum(len(each.tokens) for each in one)] * 2
    assert all(SHORTEST + 2 <= len(each.tokens) < LONGEST + 2 for each in one)
    by_answer: dict[tuple[int, ...], list[int]] = {}
    for each in one:
        by_answer.setdefault(tuple(each.tokens[each.answer :]), []).append(each.tokens[0])
    (low, high) = sorted(by_answer.values(), key=max)
    assert max(low) < min(high)
