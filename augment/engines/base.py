"""What an engine is: it answers requests. It knows nothing of tasks, shards or files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol

from augment.messages import Completion, Messages, Request
from augrec.artefacts.errors import AugrecError


class EngineFailed(AugrecError):
    """An engine, or the server behind it, cannot go on. What it was asked and did not answer has no record."""


class Engine(Protocol):
    """A context manager; what `start` starts is gone when the block ends.

    One whose answers may take minutes also has `pulse() -> str`: what it did so far in words, asked on another thread.

    Attributes:
        identity: what of the engine decides an answer (weights, number format, chat template, ...); part of every
            request's key. Speed settings stay out of it.
        context: longest prompt and answer together, in tokens; None when there is no limit.
        block: how many requests `run` is given at once.
        exact: whether a block's answers depend on nothing but the block, so that it must be run whole again when any
            of its answers is missing. False: every answer stands for itself.
    """

    identity: dict[str, Any]
    context: int | None
    block: int
    exact: bool

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def start(self) -> None:
        """Makes ready to run; does nothing the second time. Called before the first `run`."""

    def count_tokens(self, messages: Messages) -> int:
        """Length of a prompt in tokens, chat markers included."""

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raises UsageError when the log-probabilities of these one-token answers cannot be given.

        Called before `start`, where a task asks for them (`Draft.labels`).
        """

    def forget(self) -> None:
        """Drops what was kept of earlier requests (the prefix cache), as before the first one."""

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers requests in any order, each as soon as it is finished; returns when all are.

        A request the engine cannot take is answered with finish reason "error"; it never affects the others. One that
        got no answer because of trouble that has nothing to do with it comes back `unanswered`, or not at all.

        Raises:
            EngineFailed: it cannot go on.
        """

    def describe(self) -> dict[str, Any]:
        """Engine, model, versions, device and settings, for provenance. JSON values only.

        `llm` says whether a language model wrote the answers.
        """
