"""A preview shows the very prompts that the stage asks, writes nothing, and says what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from augment.preview.stand_ins import MARK
from augment.runner import run_source
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import write_json
from augrec.pipeline.preview.ahead import expected_answers
from augrec.pipeline.preview.look import PreviewOptions, SourcePreview, look
from augrec.pipeline.preview.render import brief, duration, render
from augrec.pipeline.stages.augment import catalog_of
from augrec.pipeline.stages.base import Run
from tests.kit.fake_engine import FakeEngine
from tests.kit.tiny_llama import write_adapter, write_llama
from tests.kit.toy_config import Patch, toy_config
from tests.kit.toy_run import advance, open_run, silent

RULE = "generation: {sources: {rule: {engine: {kind: heuristic}, tasks: [edges, user_profile, item_attributes]}}}"
REASONED = """
generation:
  tasks: {user_profile: {style: reasoned}, item_profile: {}}
  sources:
    server: {engine: {kind: openai, model: m, base_url: "http://127.0.0.1:9/v1"}, tasks: [item_profile, user_profile]}
"""


def opened(folder: Path, data: Path, *patches: Patch) -> Run:
    return open_run(folder, toy_config(data, {"embedding": {"model": "tfidf"}}, *patches))


def only(found: list[SourcePreview]) -> SourcePreview:
    (one,) = found
    return one


def asked_of(run: Run, source: str, folder: Path) -> list[Any]:
    """The requests that the stage would ask."""
    generation = run.config.generation
    assert generation is not None
    engine = FakeEngine()
    run_source(catalog_of(run), source, generation.sources[source], generation, folder=folder, seed=7, engine=engine)
    return [request for request in engine.asked if request.attempt == 1]


@pytest.fixture
def tiny(tmp_path: Path) -> Patch:
    engine = {"kind": "vllm", "model": str(write_llama(tmp_path / "model")), "max_model_len": 1024}
    return {
        "generation": {"sources": {"llm": {"engine": engine, "tasks": ["edges", "user_profile", "item_attributes"]}}}
    }


def test_it_shows_what_the_stage_asks(tmp_path: Path, toy_data: Path, tiny: Patch) -> None:
    run = opened(tmp_path, toy_data, tiny)
    advance(run, "prepare", "candidates")
    before = sorted(run.folder.rglob("*"))
    preview = only(look(run, PreviewOptions(show=1000, sample=5)))
    assert sorted(run.folder.rglob("*")) == before
    assert all(not task.stand_ins for task in preview.tasks)
    shown = {(task.task, one.entity): one for task in preview.tasks for one in task.shown}
    requests = asked_of(run, "llm", tmp_path / "records")
    ids = catalog_of(run).ids
    about = {task.task: task.about for task in preview.tasks}
    assert len(requests) == len(shown) == sum(task.requests for task in preview.tasks)
    for request in requests:
        one = shown[request.task, ids.of(about[request.task], request.draft.entity)]  # type: ignore[arg-type]
        dropped = request.draft.dropped_history
        if one.dropped_history == dropped:  # the fake engine has no bound
            assert one.messages == request.draft.messages
            assert one.schema == request.draft.answer.schema
        assert one.prompt_tokens + one.most_tokens <= 1024
        assert one.text is not None
        assert one.text.endswith("<|im_start|>assistant\n")
        assert one.messages[-1].content in one.text


def test_without_anything_prepared_nothing_is_left_behind(tmp_path: Path, toy_data: Path) -> None:
    run = opened(tmp_path, toy_data, RULE)
    preview = only(look(run, PreviewOptions(sample=5)))
    assert not run.folder.exists()
    assert "the data were prepared for this preview and are not kept" in preview.notes
    stands = {task.task: task.stand_ins for task in preview.tasks}
    assert [task for task, words in stands.items() if words] == ["edges"]
    candidates = preview.tasks[0].shown[0].messages[-1].content.partition("Candidates")[2]
    assert candidates.count("Film") == 5


def test_an_adapter_on_a_processor_is_cautioned_of(
    tmp_path: Path, toy_data: Path, tiny: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapted = {"generation": {"sources": {"llm": {"engine": {"lora": str(write_adapter(tmp_path / "adapter"))}}}}}
    monkeypatch.setattr("augrec.pipeline.preview.look.gpus_here", list)
    for on_cpu in (True, False):
        monkeypatch.setattr("augrec.pipeline.preview.look.built_for_cpu", lambda on_cpu=on_cpu: on_cpu)
        preview = only(look(opened(tmp_path, toy_data, tiny, adapted), PreviewOptions(sample=1, show=0)))
        assert any("ten times slower" in note for note in preview.notes) == on_cpu


def test_one_user_of_one_task(tmp_path: Path, toy_data: Path) -> None:
    run = opened(tmp_path, toy_data, RULE)
    preview = only(look(run, PreviewOptions(task="user_profile", user="17", sample=2)))
    ((shown,),) = [task.shown for task in preview.tasks]
    assert shown.entity == "17"
    seen = {
        line.split("\t")[1] for line in (toy_data / "toy.inter").read_text().splitlines() if line.startswith("17\t")
    }
    named = {word for word in seen if f"Film {word} " in shown.messages[-1].content}
    assert named
    assert shown.messages[-1].content.count("- Film") <= len(seen)


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (PreviewOptions(source="rul"), "no source 'rul'"),
        (PreviewOptions(task="edge"), "no task 'edge'"),
        (PreviewOptions(user="nobody"), "no user of the prepared data has the id 'nobody'"),
        (PreviewOptions(like=Path("nowhere")), "no measured time"),
    ],
)
def test_who_is_not_there_is_said(tmp_path: Path, toy_data: Path, asked: PreviewOptions, what: str) -> None:
    patch = RULE if asked.like is None else REASONED
    with pytest.raises(UsageError, match=what):
        look(opened(tmp_path, toy_data, patch), asked)


def test_answers_that_are_not_there_are_marked(tmp_path: Path, toy_data: Path) -> None:
    preview = only(look(opened(tmp_path, toy_data, REASONED), PreviewOptions(sample=3)))
    items, users = preview.tasks
    assert (items.stand_ins, len(users.stand_ins)) == ((), 1)
    assert MARK in users.shown[0].messages[-1].content
    assert preview.estimate is not None
    assert preview.estimate.by.startswith("rate unknown: the model and the device of a server")
    assert any("letters / 4" in note for note in preview.notes)
    said = silent()
    render([preview], said)
    assert "rate unknown" in said.file.getvalue()  # type: ignore[attr-defined]
    assert brief([preview])[0].endswith("\tunknown")


def test_lists_of_trained_models_are_asked_about_for_every_training_and_split(tmp_path: Path, toy_data: Path) -> None:
    judge = {"engine": {"kind": "heuristic"}, "tasks": []}
    patch = {
        "generation": {"sources": {"judge": judge}},
        "seeds": [1, 2, 3],
        "rerank": {"variants": ["popular"], "source": "judge", "list_size": 4, "tasks": ["ranking"]},
    }
    run = opened(tmp_path, toy_data, patch)
    preview = only(look(run, PreviewOptions(sample=5)))
    (task,) = preview.tasks
    assert any("the lists of 3 trainings on 2 splits" in note for note in preview.notes)
    assert task.requests == task.entities * 3 * 2
    assert task.stand_ins[0].startswith("lists of trained models")
    assert task.shown[0].messages[-1].content.count("Film") >= 4


def test_an_earlier_run_says_how_long_it_takes(tmp_path: Path, toy_data: Path, tiny: Patch) -> None:
    run = opened(tmp_path, toy_data, tiny)
    earlier = {"requests": 10, "attempts": 12, "seconds": 5.0, "prompt_tokens": 1000, "completion_tokens": 200}
    summary = {
        "sources": {"llm": {"engine": {"device": "a card"}, "tasks": {"edges": earlier, "item_attributes": earlier}}}
    }
    write_json(tmp_path / "like" / "augment" / "summary.json", summary)
    preview = only(look(run, PreviewOptions(like=tmp_path / "like", sample=4)))
    by_task = {task.task: task for task in preview.tasks}
    profile = by_task["user_profile"]
    tokens = profile.requests * (profile.prompt_tokens[1] + profile.written)
    expected = (by_task["edges"].requests + by_task["item_attributes"].requests) * 0.5 + tokens * 10 / 2400
    assert preview.estimate is not None
    assert preview.estimate.seconds == pytest.approx(expected)
    assert preview.estimate.by.endswith("on a card")
    asked = sum(task.requests * task.prompt_tokens[1] * (1 if task is profile else 1.2) for task in preview.tasks)
    assert preview.estimate.prompt_tokens == pytest.approx(asked)
    bound = only(look(run, PreviewOptions(gpu="h200", sample=4))).estimate
    assert bound is not None
    assert bound.seconds is not None
    assert 0 < bound.seconds < expected
    assert bound.by.startswith("at least: ")


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "0.2 s"), (40, "40 s"), (600, "10 min"), (7200, "2.0 h")])
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_first_run_expects_what_the_preview_says(tmp_path: Path, toy_data: Path, tiny: Patch) -> None:
    """By the peaks of the device that the config names; without a rate no prompt is made."""
    peaks = {"roofline": {"flops": 1e9, "bytes_per_second": 1e9}}
    known = {"generation": {"sources": {"llm": {"engine": peaks}, "rule": {"engine": {"kind": "heuristic"}}}}}
    run = opened(tmp_path, toy_data, tiny, known)
    advance(run, "prepare")
    expected = expected_answers(run)
    assert expected is not None
    (llm, _) = look(run, PreviewOptions(show=0))
    assert llm.estimate is not None
    assert (expected.stages, expected.seconds, expected.by) == (("augment",), llm.estimate.seconds, llm.estimate.by)
    assert expected.by.startswith("at least: ")
    (tmp_path / "other").mkdir()
    assert expected_answers(opened(tmp_path / "other", toy_data, REASONED)) is None
