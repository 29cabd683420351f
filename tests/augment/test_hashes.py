"""Every part of a key's content changes the key, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
from pydantic import create_model

from augment import hashes
from augment.answers.answer import Answer, AnswerModel
from augment.hashes import block_of, draw_seed, engine_seed, refusal_key, request_key, reviews_sha256, shard_of
from augment.messages import Control, Draft, Message, Sampling
from augment.source_ids import SourceIds

ANSWER = Answer(create_model("A", __base__=AnswerModel, x=(Literal[1, 2], ...)))
OTHER = Answer(create_model("A", __base__=AnswerModel, x=(Literal[1, 3], ...)))
IDS = SourceIds(["u0", "u1"], ["a", "b", "c", "d"])
DRAFT = Draft(
    0, (Message("system", "s"), Message("user", "q")), ANSWER, Control(dict, ANSWER), (0, 1), (2, 3), dropped_history=1
)
SCORED = replace(DRAFT, labels=("A", "B"), others=(replace(DRAFT, shown_candidates=(3, 2)),))


def key(draft: Draft = DRAFT, **changes: Any) -> str:
    parts: dict[str, Any] = {"engine": {"engine": "e"}, "task": "t", "about": "user", "sampling": Sampling()}
    parts |= {"seed": 0, "ids": IDS} | changes
    return request_key(draft=draft, **parts)


def said(draft: Draft, *contents: str) -> Draft:
    return replace(draft, messages=tuple(map(Message, ("system", "user"), contents)))


CHANGES: dict[str, Callable[[Draft], str]] = {
    "the engine": lambda draft: key(draft, engine={"engine": "f"}),
    "the task": lambda draft: key(draft, task="u"),
    "users or items": lambda draft: key(draft, about="item"),
    "the entity": lambda draft: key(replace(draft, entity=1)),
    "the entity's source id": lambda draft: key(draft, ids=SourceIds(["v0", "u1"], ["a", "b", "c", "d"])),
    "the system's text": lambda draft: key(said(draft, "other", "q")),
    "the user's text": lambda draft: key(said(draft, "s", "other")),
    "where a message ends": lambda draft: key(said(draft, "sq", "")),
    "an item of the history": lambda draft: key(replace(draft, shown_history=(0, 2))),
    "the order of the history": lambda draft: key(replace(draft, shown_history=(1, 0))),
    "a shorter history": lambda draft: key(replace(draft, shown_history=(1,))),
    "a candidate": lambda draft: key(replace(draft, shown_candidates=(2, 1))),
    "the order of candidates": lambda draft: key(replace(draft, shown_candidates=(3, 2))),
    "a history's item among the candidates": lambda draft: key(
        replace(draft, shown_history=(0,), shown_candidates=(1, 2, 3))
    ),
    "the name of the question": lambda draft: key(replace(draft, question="b")),
    "an item of a similar user": lambda draft: key(replace(draft, shown_similar=(1,))),
    "the order of a similar user's items": lambda draft: key(replace(draft, shown_similar=(1, 0))),
    "a review": lambda draft: key(replace(draft, shown_reviews=(1,))),
    "an item's source id": lambda draft: key(draft, ids=SourceIds(["u0", "u1"], ["z", "b", "c", "d"])),
}
OF_TEXT: dict[str, Callable[[], str]] = {
    "the grammar": lambda: key(replace(DRAFT, answer=OTHER)),
    "the seed": lambda: key(seed=1),
    **{
        f"sampling's {name}": lambda name=name, value=value: key(sampling=Sampling(**{name: value}))
        for name, value in {"temperature": 0.1, "top_p": 0.5, "top_k": 3, "repetition_penalty": 1.5}.items()
    },
}
OF_SCORES: dict[str, Callable[[], str]] = {
    "the labels": lambda: key(replace(SCORED, labels=("A", "C"))),
    "how many orders": lambda: key(replace(SCORED, others=())),
    "what another order says": lambda: key(replace(SCORED, others=(said(SCORED.others[0], "s", "r"),))),
    "what another order shows": lambda: key(replace(SCORED, others=(replace(SCORED.others[0], shown_candidates=()),))),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("draft", [DRAFT, SCORED], ids=["text", "scored"])
def test_each_part_changes_the_key(draft: Draft, what: str) -> None:
    assert CHANGES[what](draft) != key(draft)


@pytest.mark.parametrize("what", OF_TEXT)
def test_each_part_of_a_written_answer_changes_the_key(what: str) -> None:
    assert OF_TEXT[what]() != key()


@pytest.mark.parametrize("what", OF_SCORES)
def test_each_part_of_a_scored_answer_changes_the_key(what: str) -> None:
    assert OF_SCORES[what]() != key(SCORED)


def test_no_two_of_these_changes_are_the_same_question() -> None:
    keys = [key(), *(change(DRAFT) for change in CHANGES.values()), *(change() for change in OF_TEXT.values())]
    assert len(set(keys)) == len(keys)


def test_a_scheme_raised_makes_every_key_another(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(), key(SCORED), refusal_key({}, "t", "user", "u0", "r", 0)
    monkeypatch.setattr(hashes, "SCHEME", hashes.SCHEME + 1)
    after = key(), key(SCORED), refusal_key({}, "t", "user", "u0", "r", 0)
    assert not set(before) & set(after)


def test_what_decides_no_answer_is_in_no_key() -> None:
    assert key(replace(DRAFT, control=Control(lambda: {"x": 1}, OTHER))) == key()
    shifted = SourceIds(["new", "u0", "u1"], ["new", "a", "b", "c", "d"])
    moved = replace(DRAFT, entity=1, shown_history=(1, 2), shown_candidates=(3, 4))
    assert key(moved, ids=shifted) == key(), "contiguous ids"
    assert key(SCORED, seed=1, sampling=Sampling(temperature=0.1)) == key(SCORED), "nothing is drawn for a score"


def test_refusals_have_keys_of_who_and_why() -> None:
    parts = ({"engine": "e"}, "t", "user", "u0", "r", 0)
    others = ({"engine": "f"}, "u", "item", "u1", "s", 1)
    keys = [refusal_key(*parts), refusal_key(*parts, question="b")]  # type: ignore[arg-type]
    for place, other in enumerate(others):
        keys.append(refusal_key(*(*parts[:place], other, *parts[place + 1 :])))  # type: ignore[arg-type]
    assert len(set(keys)) == 2 + len(others)


def test_seeds_blocks_and_shards_follow_from_names() -> None:
    assert len({engine_seed(name, attempt) for name in ("a", "b") for attempt in (1, 2, 3)}) == 6
    assert all(0 <= engine_seed(name, 1) < 2**63 for name in map(str, range(99)))
    draws = {draw_seed(seed, draw) for seed in (0, 5) for draw in (1, 2, 3)}
    assert len(draws) == 6
    assert {0, 5} <= draws
    assert all(0 <= seed < 2**63 for seed in draws)
    assert len({reviews_sha256(texts) for texts in (["a", "b"], ["b", "a"], ["ab"], [])}) == 4
    assert reviews_sha256([]) == ""
    assert len({block_of(keys) for keys in (["a", "b"], ["b", "a"], ["ab"], ["a"], [])}) == 5
    assert len(block_of(["a"])) == 16
    shards = [[shard_of(about, f"x{n}", 7) for n in range(50)] for about in ("user", "item")]  # type: ignore[arg-type]
    assert shards[0] != shards[1]
    assert {*shards[0]} == set(range(7))


def test_names_are_what_they_were() -> None:
    """Stored answers are found by them, and lie in the shards that they name; a change raises SCHEME."""
    others = ({}, {"question": "b"}, {"shown_similar": (1,)}, {"shown_reviews": (1,)})
    assert [key(replace(SCORED, **other))[:16] for other in others] == [
        "768194c084cbd220", "40d0f03edd91c954", "5f9632b34d784291", "15e4df9edeed4598",
    ]  # fmt: skip
    refused = {"engine": "e"}, "t", "user", "u0", "r", 0
    assert refusal_key(*refused)[:16] == "2ec6858d5d7c98d3"
    assert refusal_key(*refused, "b")[:16] == "f00e730375eed168"
    assert block_of(["a", "b"]) == reviews_sha256(["a", "b"])[:16] == "0473ef2dc0d324ab"
    assert (engine_seed("a", 1), draw_seed(5, 1), draw_seed(5, 2)) == (4294491576641134471, 5, 1217188664647230517)
    assert [shard_of("user", f"x{n}", 7) for n in range(12)] == [2, 5, 3, 5, 2, 6, 5, 5, 5, 1, 0, 3]
