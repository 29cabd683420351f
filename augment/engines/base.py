"""The base class of engines. An engine answers requests; it knows nothing of tasks, shards or files."""

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

BROKEN_OFF = ("abort", "error")
"""Finish reasons by which vLLM, here or in a server, says that it broke off, which says nothing of the request."""


class EngineFailed(AugrecError):
    """An engine, or the server behind it, cannot continue. Requests it did not answer have no record."""


@dataclass(frozen=True)
class EngineInputs:
    """What an engine is built from, beside its options.

    Args:
        log: the file for its output.
        pin: the file that keeps what was chosen for this machine when the source first ran; None keeps nothing.
        model: the local folder of the weights; None for engines that load none.
        model_sha256: the hash of that folder.
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
    """Answers requests. A context manager: what `start` starts is stopped when the block ends.

    Attributes:
        identity: everything about the engine that decides an answer (weights, number format, chat template, ...). It
            is part of every request's key; settings that only change the speed are not in it.
        context: the most tokens of prompt and answer together; None if there is no limit.
        block: how many requests `run` receives at once.
        exact: whether answers depend on the block they are computed in and on nothing else. If so, a block is run
            again as a whole if any of its answers is missing. False: an answer does not depend on other requests.
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
        """Gets ready to run. Called before the first `run`; a second call does nothing."""

    def count_tokens(self, messages: Messages) -> int:
        """The length of a prompt in tokens, chat markers included; 0 if it is not known and there is no limit."""
        return 0

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raises UsageError if the engine cannot give the log-probabilities of these one-token answers.

        Called before `start` for tasks that need them (`Draft.labels`).
        """
        raise UsageError(
            f"the engine {self.identity.get('engine', type(self).__name__)} gives no log-probabilities",
            remedy="ask this source for answers as text, e.g. `mode: choose` of edges",
        )

    def clear_cache(self) -> None:  # noqa: B027 - most keep nothing
        """Empties the prefix cache, so that no earlier request has an influence."""

    @abstractmethod
    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """Answers requests: yields each completion as soon as it is finished, in any order.

        A request that the engine cannot take is completed with the finish reason "error" and does not affect the
        others. A request that got no answer for reasons that are not its own (e.g. a lost connection) is yielded as
        `unanswered`, or not at all.

        Raises:
            EngineFailed: the engine cannot continue.
        """

    def pulse(self) -> str:
        """Progress in words, for engines whose answers take minutes. Called from another thread."""
        return ""

    def accounts(self) -> Accounts:
        """What each server was asked and answered since the engine started; empty for engines without servers."""
        return {}

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Engine, model, versions, device and settings, for provenance; JSON values only.

        The key `llm` says whether a language model writes the answers.
        """
