"""Scored edges by the real engine, against the model's own forward pass in another library."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scoring_reference import ForwardPass, among_labels, in_orders, scored

from augment.catalog import Catalog
from augment.completions import records_of
from augment.engines.base import EngineInputs
from augment.engines.registry import build_engine
from augment.engines.vllm.engine import VllmEngine
from augment.engines.vllm.options import VllmOptions
from augment.messages import Request
from augment.options import GenerationOptions
from augment.requests import ask
from augment.runner import run_source
from augment.tasks import TASKS
from augment.tasks.base import Context
from augment.tasks.edges import Edges, EdgesOptions
from augrec.artefacts.errors import UsageError
from tests.kit.real_parts import SMOLLM2

OPTIONS = VllmOptions(
    model=SMOLLM2, dtype="float32", max_model_len=1024, max_num_seqs=16, block=1, kv_cache_gib=0.5, threads=1
)

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def model() -> Any:
    return pytest.importorskip("augrec.pipeline.weights").resolve(SMOLLM2)


@pytest.fixture(scope="module")
def engine(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmEngine]:
    log = tmp_path_factory.mktemp("engine") / "engine.log"
    with build_engine(OPTIONS, EngineInputs(log, model=model.path, model_sha256=model.sha256)) as running:
        running.start()
        yield running  # type: ignore[misc]


def test_label_probabilities_are_those_of_the_models_forward_pass(
    engine: VllmEngine, context: Context, model: Any
) -> None:
    import torch

    network = ForwardPass(model.path)
    asked = in_orders(scored(engine, context))
    found = {completion.request.name: completion for completion in engine.run(asked)}
    assert len(found) == len(asked) == 8
    for request in asked:
        completion = found[request.name]
        assert (completion.finish_reason, completion.error, completion.completion_tokens) == ("stop", None, 1)
        assert completion.prompt_tokens == network.prompt(request)["input_ids"].shape[1]
        expected = network.label_logprobs(request)
        torch.testing.assert_close(among_labels(completion.label_logprobs), expected, atol=2e-3, rtol=0)
        assert expected.exp().max() < 0.999, "a distribution that says nothing would prove nothing"


def test_nothing_was_compiled_for_log_probabilities(engine: VllmEngine, context: Context) -> None:
    import torch

    def refuse(*_: Any) -> Any:
        raise AssertionError("something was compiled")

    assert list(engine.run(in_orders(scored(engine, context))[:1]))
    assert torch.compile(lambda numbers: numbers + 1, backend=refuse)(torch.zeros(2)).tolist() == [1, 1]


def test_orders_of_a_user_share_their_beginning(engine: VllmEngine, context: Context) -> None:
    engine.clear_cache()
    requests = scored(engine, context)
    for request in requests:
        first, second = request.in_orders()
        list(engine.run([first]))
        (completion,) = engine.run([second])
        shared = engine.count_tokens(second.draft.messages) * 0.3
        assert completion.cached_tokens > shared
    engine.clear_cache()


def test_scored_and_written_answers_share_batches(engine: VllmEngine, context: Context) -> None:
    profile = TASKS["user_profile"](context, TASKS["user_profile"].Options())
    alone = {completion.request.name: completion for completion in engine.run(in_orders(scored(engine, context)))}
    engine.clear_cache()
    mixed: list[Request] = []
    for user, request in enumerate(scored(engine, context)):
        question = next(ask(profile, user, context.catalog.user(user), engine, seed=0))
        assert isinstance(question, Request)
        mixed += [*request.in_orders(), question]
    for completion in engine.run(mixed):
        if completion.request.draft.labels:
            before = alone[completion.request.name].label_logprobs
            assert completion.label_logprobs == pytest.approx(before, abs=1e-3)
        else:
            assert completion.label_logprobs == ()
            completion.answer.parse(completion.text)


def test_records_of_a_run(engine: VllmEngine, catalog: Catalog, records: Callable[..., Any], tmp_path: Path) -> None:
    class Borrowed:
        """The running engine; not ended with the source."""

        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

        def __enter__(self) -> Borrowed:
            return self

        def __exit__(self, *error: object) -> None:
            return None

    options = GenerationOptions.model_validate(
        {
            "sources": {"small": {"engine": OPTIONS.model_dump(), "tasks": ["edges"]}},
            "tasks": {"edges": {"mode": "score"}},
            "shards": 2,
        }
    )
    for folder in ("once", "twice"):
        run_source(
            catalog, "small", options.sources["small"], options, folder=tmp_path / folder,
            seed=0, engine=Borrowed(),  # type: ignore[arg-type]
        )  # fmt: skip
    once, twice = records("once")["edges"], records("twice")["edges"]
    assert [row["text"] for row in once] == [row["text"] for row in twice]
    for row in once:
        fields = json.loads(row["fields"])
        assert row["status"] == "ok"
        assert {item for item, _ in fields["scores"]} == set(row["shown_candidates"])
        assert sum(value for _, value in fields["scores"]) == pytest.approx(1, abs=1e-4)
        assert fields["disagreement"] > 0


def test_labels_that_are_not_one_token_are_refused(engine: VllmEngine) -> None:
    engine.check_labels(EdgesOptions(mode="score", candidates=50).labels)
    with pytest.raises(UsageError, match="one token each where an answer begins, and for this tokenizer Aqzx are not"):
        engine.check_labels(("A", "Aqzx"))
    with pytest.raises(UsageError, match="128 tokens"):
        engine.check_labels(tuple(chr(0x4E00 + n) for n in range(129)))


def test_failures_are_records(engine: VllmEngine, context: Context) -> None:
    from dataclasses import replace

    from augment.messages import Message

    (request, *_) = scored(engine, context, 1)
    long = replace(request.draft, messages=(Message("user", "word " * 2000),))
    task = Edges(context, EdgesOptions(mode="score"))
    ((record, _),) = records_of(engine, {"edges": task}, [replace(request, draft=long)], 3)
    assert (record.status, record.attempt) == ("failed", 1)
    assert record.reason is not None
    assert record.reason.startswith("prompt_too_long")
