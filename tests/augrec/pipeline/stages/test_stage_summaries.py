"""The line that a finished stage leaves on the console."""

from __future__ import annotations

import pytest

from augrec.pipeline.stages import STAGES


@pytest.mark.parametrize(
    ("counts", "line"),
    [((1, 1, 1), "1 training (1 variant x 1 seed)"), ((50, 10, 5), "50 trainings (10 variants x 5 seeds)")],
)
def test_trainings_are_counted_in_words(counts: tuple[int, int, int], line: str) -> None:
    trainings, variants, seeds = counts
    assert STAGES["train"].summary({"trainings": trainings, "variants": variants, "seeds": seeds}) == line
