"""The control: every task's own rule, no language model. Whatever an LLM is said to add must beat this."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from augment.messages import Completion, Messages, Request
from augment.options import HeuristicOptions

RULE_ENGINE = "heuristic"
RULES = 1
"""Raised when a rule changes, so that old records are not taken for new ones."""


class HeuristicEngine:
    """Answers from the request's own control rule. Exact, instant, and has no context to overflow."""

    def __init__(self, options: HeuristicOptions = HeuristicOptions()) -> None:  # noqa: B008 - frozen
        said = options.model_dump(exclude={"kind"}, exclude_defaults=True)
        self.identity: dict[str, Any] = {"engine": RULE_ENGINE, "rules": RULES, **said}
        self.context: int | None = None
        self.block = 1024
        self.exact = False

    def __enter__(self) -> HeuristicEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def start(self) -> None:
        """Nothing to start."""

    def count_tokens(self, messages: Messages) -> int:
        """No tokens are spent."""
        return 0

    def check_labels(self, labels: Sequence[str]) -> None:
        """A rule can score whatever it is asked."""

    def forget(self) -> None:
        """Nothing is kept."""

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """See Engine."""
        for request in requests:
            rule, answer = request.draft.control
            found, labels = rule(), request.draft.labels
            text = "" if labels else json.dumps(found, ensure_ascii=False)
            yield Completion(request, text, "stop", answer, label_logprobs=tuple(found[label] for label in labels))

    def describe(self) -> dict[str, Any]:
        """See Engine."""
        return {**self.identity, "model": None, "llm": False}
