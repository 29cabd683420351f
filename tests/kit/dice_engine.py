"""An engine that answers by chance: another seed, another answer, as of a model that is asked several times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

from augment.engines.base import Engine, EngineInputs
from augment.engines.options import EngineOptions
from augment.engines.registry import ENGINES, EngineKind
from augment.messages import Completion, Request
from tests.kit.fake_engine import honest


class DiceOptions(EngineOptions):
    """Answers by the seed of a request alone, within its grammar."""

    kind: Literal["dice"] = "dice"
    """Which engine."""


class DiceEngine(Engine):
    def __init__(self) -> None:
        self.identity: dict[str, Any] = {"engine": "dice"}
        self.block = 8

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        for request in requests:
            yield Completion(request, honest(request, requests), "stop", request.draft.answer)

    def describe(self) -> dict[str, Any]:
        return {**self.identity, "model": "two dice", "llm": True}


def build(options: DiceOptions, inputs: EngineInputs) -> DiceEngine:
    return DiceEngine()


def dice() -> AbstractContextManager[Any]:
    """Within it, configs may say `engine: {kind: dice}`."""
    return ENGINES.including(EngineKind(DiceOptions, __name__))
