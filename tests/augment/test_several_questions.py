"""A task may ask several questions about an entity: each has its own key, its own record, and its own shortening."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow.parquet as pq
import pytest

from augment.answers.answer import Answer, AnswerModel
from augment.completions import records_of
from augment.engines.heuristic import HeuristicEngine
from augment.entities import UserEntity
from augment.messages import Control, Draft, Message, Record, Request
from augment.requests import Questions, ask, asker
from augment.store.store import Store
from augment.store.table import merge
from augment.tasks.base import Checked, Context, Impossible, Task, TaskOptions, card_of
from augrec.artefacts.tasks import About, Gives, Ranking
from tests.kit.fake_engine import FakeEngine


class Preference(AnswerModel):
    best: Literal[1, 2]


ANSWER = Answer(Preference)


class Pairs(Task):
    """Which of two neighbouring candidates; the last user is not asked at all."""

    name: ClassVar[str] = "pairs"
    about: ClassVar[About] = "user"
    gives: ClassVar[Gives] = Ranking()
    most_questions = 3

    def __init__(self, context: Context) -> None:
        self.options, self._last = TaskOptions(), context.catalog.n_users - 1

    def questions(self, entity: UserEntity, drop: int = 0) -> Iterator[Draft]:
        if entity.user == self._last:
            raise Impossible("last: is not asked")
        history = entity.history[drop:]
        told = " ".join(item.title for item in history)
        for number in range(3):
            pair = entity.candidates[2 * number : 2 * number + 2]
            yield Draft(
                entity.user,
                (Message("user", f"{told}: {pair[0].title} or {pair[1].title}?{' really?' * number}"),),
                ANSWER,
                Control(lambda: {"best": 1}, ANSWER),
                shown_history=tuple(item.item for item in history),
                shown_candidates=tuple(item.item for item in pair),
                dropped_history=drop,
                question=f"pair-{number}",
            )

    def check(self, answer: dict[str, Any], draft: Draft) -> Checked:
        return Checked({"order": [draft.shown_candidates[answer["best"] - 1]]})


@pytest.fixture
def task(context: Context) -> Pairs:
    return Pairs(context)


def test_every_question_has_a_key_and_a_record_of_its_own(task: Pairs, context: Context, tmp_path: Path) -> None:
    catalog, engine = context.catalog, HeuristicEngine()
    questions = Questions(catalog, [task], asker(catalog, engine, 0), 2, [0, 1])
    assert len(questions) == 3 * catalog.n_users, "as many as there can be, until they were made"
    asked = [question for block in questions.blocks(8) for question in block]
    assert len(questions) == len(asked) == 3 * (catalog.n_users - 1) + 1
    assert len({question.key for question in asked}) == len(asked)
    with Store(tmp_path, {"pairs": card_of(task)}, 2) as store:
        for question in asked:
            if isinstance(question, Record):
                store.append(question)
        requests = [question for question in asked if isinstance(question, Request)]
        for record, _ in records_of(engine, {"pairs": task}, requests, 1):
            store.append(record)
        merge(store.records("pairs"), {question.key for question in asked}, tmp_path / "records.parquet")
    rows = pq.read_table(tmp_path / "records.parquet").to_pylist()
    named = [(user, f"pair-{number}") for user in range(catalog.n_users - 1) for number in range(3)]
    assert [(row["entity"], row["question"]) for row in rows] == [*named, (catalog.n_users - 1, "")]
    assert [row["reason"] for row in rows if row["status"] == "failed"] == ["last: is not asked"]
    for row in rows[:-1]:
        assert json.loads(row["fields"])["order"] == row["shown_candidates"][:1]


def test_the_same_prompt_under_another_name_is_another_question(task: Pairs, context: Context) -> None:
    first, second, _ = task.questions(context.catalog.user(0))
    alike = [ask(_Fixed(context, [draft]), 0, None, HeuristicEngine(), 0) for draft in (first, second)]
    assert len({next(found).key for found in alike}) == 2
    renamed = [Draft(**{**_content(first), "question": name}) for name in ("", "a", "b")]
    keys = [next(ask(_Fixed(context, [draft]), 0, None, HeuristicEngine(), 0)).key for draft in renamed]
    assert len(set(keys)) == 3


def test_each_question_is_shortened_or_refused_for_itself(task: Pairs, context: Context) -> None:
    user = context.catalog.user(0)
    lengths = [FakeEngine().count_tokens(draft.messages) for draft in task.questions(user)]
    room = ANSWER.max_tokens
    assert lengths[0] < lengths[1] < lengths[2]
    whole = list(ask(task, 0, user, FakeEngine(context=lengths[2] + room), 0))
    assert [asked.draft.dropped_history for asked in whole if isinstance(asked, Request)] == [0, 0, 0]
    tight = list(ask(task, 0, user, FakeEngine(context=lengths[0] + room), 0))
    dropped = [asked.draft.dropped_history for asked in tight if isinstance(asked, Request)]
    assert dropped[0] == 0
    assert dropped == sorted(dropped)
    assert dropped[2] > 0
    shortest = [FakeEngine().count_tokens(draft.messages) for draft in task.questions(user, len(user.history) - 1)]
    refused = list(ask(task, 0, user, FakeEngine(context=shortest[1] + room), 0))
    assert [type(asked) for asked in refused] == [Request, Request, Record]
    assert isinstance(refused[2], Record)
    assert (refused[2].question, refused[2].reason.partition(":")[0]) == ("pair-2", "prompt_too_long")


def test_two_questions_of_one_name_are_a_mistake_of_the_task(task: Pairs, context: Context) -> None:
    first, _, _ = task.questions(context.catalog.user(0))
    with pytest.raises(ValueError, match="two questions called 'pair-0'"):
        list(ask(_Fixed(context, [first, first]), 0, None, HeuristicEngine(), 0))


class _Fixed(Pairs):
    def __init__(self, context: Context, drafts: list[Draft]) -> None:
        super().__init__(context)
        self._drafts = drafts

    def questions(self, entity: Any, drop: int = 0) -> Iterator[Draft]:
        yield from self._drafts


def _content(draft: Draft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in Draft.__dataclass_fields__}
