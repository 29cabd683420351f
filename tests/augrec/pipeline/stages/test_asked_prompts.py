"""The prompts that a page shows are those that the model was asked, with its answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from augment.messages import Completion, Request
from augrec.pipeline.stages.asked_prompts import asked_prompts
from augrec.pipeline.stages.base import Run
from tests.kit.dice_engine import DiceEngine, dice
from tests.kit.toy_config import EMBEDDING, toy_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run

GENERATION = """
generation:
  shards: 2
  tasks: {user_profile: {style: reasoned, items: 3}}
  sources:
    lucky: {engine: {kind: dice}, tasks: [item_profile, user_profile, edges]}
    rule: {engine: {kind: heuristic}, tasks: [item_profile]}
"""


@pytest.fixture(scope="module")
def answered(
    tmp_path_factory: pytest.TempPathFactory, embedder: str
) -> Iterator[tuple[Run, dict[tuple[tuple[str, str], ...], str]]]:
    """A run whose model was asked, and what it wrote to which prompt."""
    root, heard = tmp_path_factory.mktemp("asked"), {}
    answer = DiceEngine.run

    def listening(engine: DiceEngine, requests: Sequence[Request]) -> Iterator[Completion]:
        for completion in answer(engine, requests):
            messages = completion.request.draft.messages
            heard[tuple((message.role, message.content) for message in messages)] = completion.text
            yield completion

    with dice(), pytest.MonkeyPatch.context() as patches:
        patches.setattr(DiceEngine, "run", listening)
        run = open_run(root, toy_config(write_toy_data(root / "data"), EMBEDDING, GENERATION))
        advance(run, "prepare", "candidates", "augment")
        yield run, heard


def test_one_prompt_of_each_task_is_what_the_model_was_asked(
    answered: tuple[Run, dict[tuple[tuple[str, str], ...], str]],
) -> None:
    run, heard = answered
    found = asked_prompts(run)
    tasks = ["edges", "item_profile", "user_profile"]
    assert sorted((one.source, one.task) for one in found) == [("lucky", task) for task in tasks]
    for one in found:
        assert heard[one.messages] == one.answer
        assert one.of_user == (one.about == "user")
        assert one.whom in one.messages[-1][1] or one.about == "user"
        assert one.schema
    assert asked_prompts(run) == found


def test_without_examples_none_is_shown(answered: tuple[Run, dict[tuple[tuple[str, str], ...], str]]) -> None:
    run, _ = answered
    report = run.config.report.model_copy(update={"examples": 0})
    assert asked_prompts(Run(run.config.model_copy(update={"report": report}))) == []
