"""Attempts: which failures are asked again, with what, and when to give up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from augment.completions import records_of
from augment.entities import UserEntity
from augment.hashes import engine_seed
from augment.messages import Completion, Record, Request
from augment.requests import ask
from augment.tasks.base import Context
from augment.tasks.user_profile import UserProfile, UserProfileOptions
from tests.kit.fake_engine import FakeEngine

GOOD = {
    "age": "18-24",
    "gender": "female",
    "liked_genres": ["Action"],
    "disliked_genres": ["War"],
    "liked_directors": ["Jane Doe"],
    "country": "Chile",
    "language": "Spanish",
}


@pytest.fixture
def talk(context: Context) -> Callable[..., tuple[list[Record], list[Request]]]:
    """talk(answer, attempts) asks for five profiles and returns the records and what was asked."""

    def call(answer: Callable[[Request, Sequence[Request]], Any], attempts: int = 3) -> Any:
        engine = FakeEngine(answer)
        task = UserProfile(context, UserProfileOptions())
        questions = [next(ask(task, user, context.catalog.user(user), engine, seed=0)) for user in range(5)]
        records = [record for record, _ in records_of(engine, {task.name: task}, questions, attempts)]
        return sorted(records, key=lambda record: record.entity), engine.asked

    return call


def text(**changes: Any) -> str:
    return json.dumps(GOOD | changes)


def test_a_good_answer_is_taken_at_once(talk: Any) -> None:
    records, asked = talk(lambda request, company: text())
    assert len(asked) == 5
    assert [record.entity for record in records] == [0, 1, 2, 3, 4]
    assert all(record.status == "ok" and record.attempt == 1 and record.fallback is None for record in records)
    assert json.loads(records[0].fields) == GOOD
    assert records[0].shown_history == (0, 1, 2, 3, 4)


def test_a_contradiction_is_asked_again_with_a_narrower_grammar(talk: Any) -> None:
    def answer(request: Request, company: Sequence[Request]) -> str:
        if request.attempt == 1:
            return text(disliked_genres=["Action"])
        fields = json.loads(request.grammar)["properties"]
        assert fields["liked_genres"]["items"] == {"const": "Action", "type": "string"}
        return text(disliked_genres=fields["disliked_genres"]["items"]["enum"][:1])

    records, _ = talk(answer)
    assert all(record.status == "ok" and record.attempt == 2 for record in records)
    assert records[0].repairs == ("disliked_genres: drawn again without the liked ones",)
    assert json.loads(records[0].fields)["disliked_genres"] == ["Comedy"]


def test_attempts_have_seeds_of_their_own_from_one_key(talk: Any) -> None:
    records, asked = talk(lambda request, company: "not json", attempts=4)
    assert Counter(request.key for request in asked) == dict.fromkeys({record.key for record in records}, 4)
    assert len({request.seed for request in asked}) == 20
    assert all(request.seed == engine_seed(request.key, request.attempt) < 2**63 for request in asked)


def test_what_cannot_be_mended_becomes_a_failed_record(talk: Any) -> None:
    records, _ = talk(lambda request, company: text(age="12"), attempts=2)
    assert all(record.status == "failed" and record.fields is None for record in records)
    assert all(record.fallback == "masked" and record.attempt == 2 for record in records)
    assert records[0].reason.startswith("malformed: age")
    assert records[0].text == text(age="12")


def test_an_unfinished_answer_fails_even_if_it_parses(talk: Any) -> None:
    def answer(request: Request, company: Sequence[Request]) -> Completion:
        return Completion(request, text(), "length", request.draft.answer, 10, 20, 5)

    records, asked = talk(answer, attempts=2)
    assert len(asked) == 10
    assert records[0].reason.startswith("not_finished: length")
    assert (records[0].prompt_tokens, records[0].completion_tokens, records[0].cached_tokens) == (20, 40, 10)


@pytest.mark.parametrize(("error", "times"), [("refused_by_engine: no", 1), ("engine_error: abort", 3)])
def test_only_errors_that_may_pass_are_asked_again(talk: Any, error: str, times: int) -> None:
    def answer(request: Request, company: Sequence[Request]) -> Completion:
        return Completion(request, "", "error", request.draft.answer, error=error)

    records, asked = talk(answer)
    assert len(asked) == 5 * times
    assert {record.reason for record in records} == {error}


def test_retries_come_in_the_order_of_the_first_round(talk: Any) -> None:
    batches: list[list[int]] = []

    def answer(request: Request, company: Sequence[Request]) -> str:
        order = [other.draft.entity for other in company]
        if order not in batches:
            batches.append(order)
        return "{"

    talk(answer, attempts=2)
    assert batches == [[0, 1, 2, 3, 4]]


def test_everything_that_decides_an_answer_is_in_its_key(context: Context) -> None:
    task = UserProfile(context, UserProfileOptions())
    first, again = (next(ask(task, 0, context.catalog.user(0), FakeEngine(), seed=0)) for _ in range(2))
    assert first.key == again.key
    user = context.catalog.user(0)
    twin = next(ask(task, 1, UserEntity(1, user.history, user.candidates), FakeEngine(), seed=0))
    assert twin.draft.messages == first.draft.messages
    other_seed = next(ask(task, 0, context.catalog.user(0), FakeEngine(), seed=1))
    engine = FakeEngine()
    engine.identity = {"engine": "other"}
    other_engine = next(ask(task, 0, context.catalog.user(0), engine, seed=0))
    hotter = UserProfile(context, UserProfileOptions.model_validate({"sampling": {"temperature": 1.0}}))
    other_sampling = next(ask(hotter, 0, context.catalog.user(0), FakeEngine(), seed=0))
    wider = UserProfile(context, UserProfileOptions(liked_genres=5))
    other_grammar = next(ask(wider, 0, context.catalog.user(0), FakeEngine(), seed=0))
    keys = {request.key for request in (first, twin, other_seed, other_engine, other_sampling, other_grammar)}
    assert len(keys) == 6
