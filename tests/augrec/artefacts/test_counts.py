"""One of a thing is named in the singular wherever the tool counts."""

from __future__ import annotations

import re

import pytest

from augrec.artefacts.counts import counted, noun
from augrec.pipeline.stages import STAGES
from augrec.report.render import wording


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (1, ("item",), "1 item"),
        (0, ("item",), "0 items"),
        (2000, ("item",), "2,000 items"),
        (1, ("matrix", "matrices"), "1 matrix"),
        (3, ("line has", "lines have"), "3 lines have"),
    ],
)
def test_counts_and_what_is_counted_agree(number: int, words: tuple[str, ...], said: str) -> None:
    assert counted(number, *words) == said
    assert noun(number, *words) == said.partition(" ")[2]
    assert wording.counted(number, *words) == said.replace(",", "\u202f")


ONE = {
    "prepare": dict.fromkeys(("users", "items", "interactions", "users_without_train", "items_without_train"), 1),
    "augment": {"requests": 1, "ok": 1, "failed": 0},
    "embed": {"matrices": 1},
    "report": {"audit_checks": 1},
    "rerank": {"rows": 1, "questions": 1, "failed": 0},
    "tune": {"instructions": {"made": {"ranking": 1}}, "steps": 1, "first_loss": 2.0, "last_loss": 1.0},
}


@pytest.mark.parametrize("stage", ONE)
def test_the_summary_of_a_stage_says_one_of_a_thing(stage: str) -> None:
    said = STAGES[stage].summary(ONE[stage])
    assert re.search(r"\b1 [a-z]+", said)
    assert not re.search(r"\b1 (?:[a-z]+s|matrices)\b", said), said
