"""The control: every task's own rule, no language model. Whatever an LLM is said to add must beat this."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from augment.engines.base import Engine, EngineInputs
from augment.engines.options import EngineOptions
from augment.messages import Completion, Request

RULE_ENGINE = "heuristic"
RULES = 1
"""Raised when a rule changes, so that old records are not taken for new ones."""


class HeuristicOptions(EngineOptions):
    """The control: each task's rule, no language model."""

    kind: Literal["heuristic"] = "heuristic"
    """Which engine."""
    writes_text: ClassVar[bool] = False
    rule: Literal["task", "tfidf"] = "task"
    """task: each task's own. tfidf: a user's profile is their history's terms by TF-IDF, in whatever style others
    write it; other tasks keep their own. In prose both are the same."""
    terms: int = Field(default=20, ge=1, le=200)
    """Most terms of a profile by TF-IDF."""

    @property
    def history_terms(self) -> int:
        """See EngineOptions."""
        return self.terms

    @property
    def prose_profiles(self) -> bool:
        """See EngineOptions."""
        return self.rule == "tfidf"


class HeuristicEngine(Engine):
    """Answers from the request's own control rule. Exact, instant, and has no context to overflow."""

    def __init__(self, options: HeuristicOptions = HeuristicOptions()) -> None:  # noqa: B008 - frozen
        settings = options.model_dump(exclude={"kind"}, exclude_defaults=True)
        self.identity: dict[str, Any] = {"engine": RULE_ENGINE, "rules": RULES, **settings}

    def check_labels(self, labels: Sequence[str]) -> None:
        """A rule can score whatever it is asked."""

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """See Engine."""
        for request in requests:
            rule, answer = request.draft.control
            control, labels = rule(), request.draft.labels
            text = "" if labels else json.dumps(control, ensure_ascii=False)
            yield Completion(request, text, "stop", answer, label_logprobs=tuple(control[label] for label in labels))

    def describe(self) -> dict[str, Any]:
        """See Engine."""
        return {**self.identity, "model": None, "llm": False}


def build(options: HeuristicOptions, inputs: EngineInputs) -> HeuristicEngine:
    """See `augment.engines.registry`."""
    return HeuristicEngine(options)
