"""What an engine is: it answers requests. It knows nothing of tasks, shards or files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from augment.accounting.endpoints import Accounts
from augment.messages import Completion, Messages, Request
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.source_folder import SourceFolder


class EngineFailed(AugrecError):
    """An engine, or the server behind it, cannot go on. What it was asked and did not answer has no record."""


@dataclass(frozen=True)
class EngineInputs:
    """What an engine is built from beside its options.

    Args:
        log: file for whatever it says.
        pin: file that keeps what was chosen for this machine when a source was first run; None keeps nothing.
        model: resolved local folder of the weights; None for engines that load none.
        model_sha256: its hash.
    """

    log: Path
    pin: Path | None = None
    model: Path | None = None
    model_sha256: str | None = None

    @classmethod
    def beside(cls, folder: Path, suffix: str = "", model: Path | None = None, sha256: str | None = None) -> Self:
        """Those of an engine that answers the source whose records lie in `folder`; its log's name has a suffix."""
        files = SourceFolder(folder)
        return cls(files.engine_log(suffix), files.number_format, model, sha256)


class Engine(ABC):
    """A context manager; what `start` starts is gone when the block ends.

    Attributes:
        identity: what of the engine decides an answer (weights, number format, chat template, ...); part of every
            request's key. Speed settings stay out of it.
        context: longest prompt and answer together, in tokens; None when there is no limit.
        block: how many requests `run` is given at once.
        exact: whether a block's answers depend on nothing but the block, so that it must be run whole again when any
            of its answers is missing. False: every answer stands for itself.
    """

    identity: dict[str, Any]
    context: int | None = None
    block: int = 1024
    exact: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def start(self) -> None:  # noqa: B027 - most have nothing to start
        """Makes ready to run; does nothing the second time. Called before the first `run`."""

    def count_tokens(self, messages: Messages) -> int:
        """Length of a prompt in tokens, chat markers included; 0 where it is not known and there is no limit."""
        return 0

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raises UsageError when the log-probabilities of these one-token answers cannot be given.

        Called before `start`, where a task asks for them (`Draft.labels`).
        """
        raise UsageError(
            f"the engine {self.identity.get('engine', type(self).__name__)} gives no log-probabilities",
            remedy="ask this source for answers as text, e.g. `mode: choose` of edges",
        )

    def clear_cache(self) -> None:  # noqa: B027 - most keep nothing
        """Drops what was kept of earlier requests (the prefix cache), as before the first one."""

    @abstractmethod
    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers requests in any order, each as soon as it is finished; returns when all are.

        A request the engine cannot take is answered with finish reason "error"; it never affects the others. One that
        got no answer because of trouble that has nothing to do with it comes back `unanswered`, or not at all.

        Raises:
            EngineFailed: it cannot go on.
        """

    def pulse(self) -> str:
        """What it did so far in words, for engines whose answers may take minutes; asked on another thread."""
        return ""

    def accounts(self) -> Accounts:
        """What each server was asked and gave since the engine started; empty for engines that ask none."""
        return {}

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Engine, model, versions, device and settings, for provenance. JSON values only.

        `llm` says whether a language model wrote the answers.
        """
