"""The real engine with the real small model: grammar, determinism, refusals, and a process left as it was."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from augment.catalog import Catalog
from augment.engines.base import EngineInputs
from augment.engines.registry import build_engine
from augment.engines.vllm.engine import VllmEngine
from augment.engines.vllm.options import VllmOptions
from augment.messages import Message, Request
from augment.options import GenerationOptions
from augment.prompts.rendering import Prompts
from augment.requests import ask
from augment.runner import run_source
from augment.tasks import TASKS
from augment.tasks.base import Context
from augrec.artefacts.errors import UsageError
from tests.kit.real_parts import SMOLLM2

OPTIONS = VllmOptions(
    model=SMOLLM2,
    max_model_len=1024,
    max_num_seqs=16,
    block=1,
    kv_cache_gib=0.5,
    threads=1,
)

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def surroundings() -> dict[str, Any]:
    """What the process looked like before the engine came; a training has loaded numba."""
    import numba  # noqa: F401
    import torch

    return {
        "threads": torch.get_num_threads(),
        "set_num_threads": torch.set_num_threads,
        "cores": os.sched_getaffinity(0),
        "environment": {name: value for name, value in os.environ.items() if "VLLM" in name or "HF_" in name},
        "uncollected": gc.get_freeze_count(),
        "llvm": sys.modules["llvmlite.binding.ffi"],
    }


@pytest.fixture(scope="module")
def model() -> Any:
    """The converted weights, from the cache when they are there."""
    return pytest.importorskip("augrec.pipeline.weights").resolve(SMOLLM2)


@pytest.fixture(scope="module")
def engine(surroundings: Any, model: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmEngine]:
    log = tmp_path_factory.mktemp("engine") / "engine.log"
    with build_engine(OPTIONS, EngineInputs(log, model=model.path, model_sha256=model.sha256)) as running:
        running.start()
        yield running  # type: ignore[misc]


class Borrowed:
    """The running engine for one more source: not ended with it, and dying after `lives` completions."""

    def __init__(self, engine: VllmEngine, lives: int | None = None) -> None:
        self._engine, self._lives = engine, lives

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def __enter__(self) -> Borrowed:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def run(self, requests: Any) -> Iterator[Any]:
        for completion in self._engine.run(requests):
            if self._lives == 0:
                raise KeyboardInterrupt
            self._lives = None if self._lives is None else self._lives - 1
            yield completion


def run(catalog: Catalog, engine: Borrowed, folder: Path) -> dict[str, Any]:
    options = GenerationOptions(
        sources={"small": {"engine": OPTIONS.model_dump(), "tasks": ["edges", "item_attributes"]}}, shards=2
    )
    return run_source(
        catalog, "small", options.sources["small"], options, folder=folder, seed=0,
        engine=engine,  # type: ignore[arg-type]
    )  # fmt: skip


def test_interruptions_change_nothing_and_answers_are_valid(
    engine: VllmEngine, catalog: Catalog, records: Callable[..., Any], tmp_path: Path
) -> None:
    summary = run(catalog, Borrowed(engine), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(catalog, Borrowed(engine, lives=7), tmp_path / "cut")
    resumed = run(catalog, Borrowed(engine), tmp_path / "cut")
    whole, cut = records("whole"), records("cut")
    for task, rows in whole.items():
        assert [row["text"] for row in rows] == [row["text"] for row in cut[task]]
        assert [row["key"] for row in rows] == [row["key"] for row in cut[task]]
        assert all(row["status"] == "ok" for row in rows)
    assert resumed["recomputed_alike"] == resumed["recomputed"] == 7
    assert summary["tasks"]["item_attributes"]["prefix_cache_hit_rate"] > 0.3
    described = summary["engine"]
    assert described["dtype"] == engine.identity["dtype"] in ("bfloat16", "float32")
    assert described["dtype_because"]
    assert described["device"] == "CPU, 1 thread"
    assert described["threads"] == [1]
    assert described["grammars_compiled"] == "in step"
    assert len(described["model_sha256"]) == 64
    assert len(described["tokenizer_sha256"]) == len(described["chat_template_sha256"]) == 64
    assert all(summary["grammar_seconds"][kind] > 0 for kind in ("compile", "mask"))
    assert sum(summary["grammar_seconds"].values()) < sum(task["seconds"] for task in summary["tasks"].values())


def requests(engine: VllmEngine, catalog: Catalog) -> list[Request]:
    task = TASKS["user_profile"](Context(catalog, Prompts(), 15, 0), TASKS["user_profile"].Options())
    asked = [next(ask(task, user, catalog.user(user), engine, seed=0)) for user in range(3)]
    return [request for request in asked if isinstance(request, Request)]


def test_one_bad_request_does_not_affect_the_others(engine: VllmEngine, catalog: Catalog) -> None:
    good = requests(engine, catalog)
    long = replace(good[0].draft, messages=(Message("system", ""), Message("user", "word " * 2000)))
    bad = [
        replace(good[0], key="long", draft=long),
        replace(
            good[1], key="schema", grammar='{"type":"array","items":{"enum":[1,2]},"maxItems":2,"uniqueItems":true}'
        ),
    ]
    completions = {completion.request.key: completion for completion in engine.run([bad[0], *good, bad[1]])}
    assert completions["long"].error is not None
    assert completions["long"].error.startswith("prompt_too_long")
    assert completions["schema"].finish_reason == "error"
    for request in good:
        completion = completions[request.key]
        assert completion.finish_reason == "stop"
        assert completion.completion_tokens <= request.draft.answer.max_tokens
        request.draft.answer.parse(completion.text)


class Meddled(Borrowed):
    """Makes the question about item 3 too long, and asks about item 5 with a schema that the grammar does not know."""

    def run(self, requests: Any) -> Iterator[Any]:
        meddled = []
        for request in requests:
            if request.draft.entity == 3:
                long = replace(request.draft, messages=(Message("system", ""), Message("user", "word " * 2000)))
                request = replace(request, draft=long)
            elif request.draft.entity == 5:
                unknown = '{"type":"array","items":{"enum":[1,2]},"maxItems":2,"uniqueItems":true}'
                request = replace(request, grammar=unknown)
            meddled.append(request)
        yield from super().run(meddled)


def test_a_bad_question_is_one_failed_record_of_a_source(
    engine: VllmEngine, catalog: Catalog, records: Callable[..., Any], tmp_path: Path
) -> None:
    options = GenerationOptions(
        sources={"small": {"engine": OPTIONS.model_dump(), "tasks": ["item_attributes"]}}, shards=1
    )
    summary = run_source(
        catalog, "small", options.sources["small"], options, folder=tmp_path / "out",
        seed=0, engine=Meddled(engine),  # type: ignore[arg-type]
    )  # fmt: skip
    assert summary["tasks"]["item_attributes"]["failed_by_reason"] == {"prompt_too_long": 1, "refused_by_engine": 1}
    for row in records("out")["item_attributes"]:
        reasons = {3: "prompt_too_long", 5: "refused_by_engine"}
        assert (row["reason"] or "").partition(":")[0] == reasons.get(row["entity"], "")
        assert (row["status"], row["attempt"] == 1) in {("ok", True), ("ok", False), ("failed", True)}


def test_counted_tokens_are_the_prompt_tokens(engine: VllmEngine, catalog: Catalog) -> None:
    request = requests(engine, catalog)[0]
    (completion,) = engine.run([request])
    assert completion.prompt_tokens == engine.count_tokens(request.draft.messages)
    numbers = re.findall(r"(?:read|wrote) ([\d,]+)", engine.pulse())
    read, wrote = (int(number.replace(",", "")) for number in numbers)
    assert read >= completion.prompt_tokens
    assert wrote >= completion.completion_tokens
    assert engine.pulse().endswith(", 1 thread")


def test_gpus_that_are_not_there_are_said(engine: VllmEngine, model: Any, tmp_path: Path) -> None:
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        pytest.skip("there is a GPU")
    options = OPTIONS.model_copy(update={"tensor_parallel": 2})
    other = build_engine(options, EngineInputs(tmp_path / "log", model=model.path, model_sha256=model.sha256))
    with other, pytest.raises(UsageError, match="2 GPUs"):
        other.start()


def test_the_process_is_left_as_it_was(
    engine: VllmEngine, surroundings: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    torch = sys.modules["torch"]
    engine.__exit__(None, None, None)
    assert torch.set_num_threads is surroundings["set_num_threads"]
    assert torch.get_num_threads() == surroundings["threads"]
    assert os.sched_getaffinity(0) == surroundings["cores"]
    now = {name: value for name, value in os.environ.items() if name in surroundings["environment"]}
    assert now == surroundings["environment"]
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in os.environ
    assert gc.get_freeze_count() == surroundings["uncollected"]
    assert sys.modules["llvmlite.binding.ffi"] is surroundings["llvm"]
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
