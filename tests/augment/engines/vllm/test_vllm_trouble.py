"""What vLLM's own trouble means: requests are unanswered, and a dead engine is said. vLLM itself is stubbed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from augment.catalog import Catalog
from augment.engines.base import EngineFailed
from augment.engines.vllm import engine as module
from augment.engines.vllm.engine import TokenCount, VllmEngine
from augment.engines.vllm.options import VllmOptions
from augment.messages import Request
from augment.requests import ask
from augment.tasks import TASKS
from augment.tasks.base import Context


class EngineDeadError(Exception):
    """As vLLM's: no ValueError, and raised wherever a dead engine is touched."""


class StubbedVllm:
    """Finishes a request a step, each with the reason that `reasons` has for its item, or raises at `dies`."""

    def __init__(self, reasons: dict[int, str] | None = None, dies: str = "", refuses: Exception | None = None) -> None:
        self.reasons, self.dies, self.refuses = reasons or {}, dies, refuses
        self.waiting: deque[str] = deque()
        self.items: dict[str, int] = {}
        self.steps = 0
        self.llm_engine = self

    def reset_prefix_cache(self) -> None:
        self._die("forget")

    def add_request(self, name: str, *arguments: Any, **options: Any) -> None:
        self._die("add")
        if self.refuses is not None:
            raise self.refuses
        self.waiting.append(name)

    def abort_request(self, names: list[str]) -> None:
        if self.dies:
            raise EngineDeadError("already dead")

    def has_unfinished_requests(self) -> bool:
        return bool(self.waiting)

    def step(self) -> list[Any]:
        self.steps += 1
        if self.steps > 3:
            self._die("step")
        name = self.waiting.popleft()
        reason = self.reasons.get(self.items[name], "stop")
        written = SimpleNamespace(text="{}", token_ids=[1, 2], finish_reason=reason)
        common = {"finished": True, "prompt_token_ids": [1], "num_cached_tokens": 0, "metrics": None}
        return [SimpleNamespace(request_id=name, outputs=[written], **common)]

    def _die(self, where: str) -> None:
        if self.dies == where:
            raise EngineDeadError("EngineCore encountered an issue")


Built = Callable[[StubbedVllm], tuple[VllmEngine, list[Request]]]


@pytest.fixture
def built(context: Context, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    """built(stub) is an engine that was started over it, and requests about eight items."""

    def call(stub: StubbedVllm) -> tuple[VllmEngine, list[Request]]:
        engine = object.__new__(VllmEngine)
        engine._options = VllmOptions(model="none", max_model_len=4096)
        engine._log, engine._window, engine._tokens = tmp_path / "engine.log", 4, TokenCount()
        engine.context, engine.identity = None, {"engine": "vllm"}
        engine.tokens = lambda messages: (1, 2, 3)  # type: ignore[assignment, misc]
        engine.parameters = lambda request: None  # type: ignore[method-assign]
        engine._started = SimpleNamespace(llm=stub, lora=None, threads=None)  # type: ignore[assignment]
        task = TASKS["item_attributes"](context, TASKS["item_attributes"].Options())
        asked = [next(ask(task, item, catalog.item(item), engine, 0)) for item in range(8)]
        requests = [request for request in asked if isinstance(request, Request)]
        stub.items = {request.name: request.draft.entity for request in requests}
        return engine, requests

    monkeypatch.setattr(module, "refusals", lambda: (ValueError, TypeError))
    return call


def test_what_vllm_breaks_off_is_unanswered_and_what_it_ends_is_not(built: Built) -> None:
    engine, requests = built(StubbedVllm({1: "abort", 2: "error", 3: "length", 4: "repetition"}))
    found = {completion.request.draft.entity: completion for completion in engine.run(requests)}
    assert {item for item, completion in found.items() if completion.unanswered} == {1, 2}
    assert [found[item].finish_reason for item in range(5)] == ["stop", "error", "error", "length", "error"]
    assert found[4].error == "engine_error: finished with repetition"


@pytest.mark.parametrize("where", ["step", "add"])
def test_a_dead_engine_ends_the_run_and_keeps_what_it_answered(built: Built, where: str, tmp_path: Path) -> None:
    engine, requests = built(StubbedVllm(dies=where))
    found = []
    with pytest.raises(EngineFailed, match=r"vLLM stopped while generating \(EngineDeadError") as raised:
        found.extend(engine.run(requests))
    assert len(found) == (3 if where == "step" else 0)
    assert (raised.value.where, "are kept" in str(raised.value.remedy)) == (str(tmp_path / "engine.log"), True)


def test_a_dead_engine_that_is_to_forget_is_said(built: Built) -> None:
    engine, _ = built(StubbedVllm(dies="forget"))
    with pytest.raises(EngineFailed, match="EngineDeadError"):
        engine.clear_cache()


@pytest.mark.parametrize("refusal", [ValueError("too long\nfor this"), ValueError(), TypeError("no")])
def test_a_request_that_vllm_cannot_take_is_refused_alone(built: Built, refusal: Exception) -> None:
    engine, requests = built(StubbedVllm(refuses=refusal))
    found = list(engine.run(requests))
    assert len(found) == len(requests)
    assert not any(completion.unanswered for completion in found)
    assert all(str(completion.error).startswith("refused_by_engine: ") for completion in found)
    assert all(len(str(completion.error)) > len("refused_by_engine: ") for completion in found)
