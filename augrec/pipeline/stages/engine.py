"""An engine that several shards share and that ends in good order when the process is asked to stop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, cast

from augment.engines.base import Engine
from augment.messages import Completion, Messages, Request
from augrec.pipeline.host.stopping import Stopper


class StoppableEngine:
    """See Engine. Entering and leaving it is left to whoever made the inner engine.

    A stop ends a block of an exact engine when the block is finished, since part of it would be computed again; any
    other engine is stopped between two answers.
    """

    def __init__(self, inner: Engine, stop: Stopper) -> None:
        self._inner, self._stop = inner, stop
        self.identity = inner.identity
        self.context = inner.context
        self.block = inner.block
        self.exact = inner.exact
        self.answered = 0
        """Answers so far."""

    def __enter__(self) -> StoppableEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def start(self) -> None:
        """See Engine."""
        with self._stop.polled(), self._stop.shielded():
            self._inner.start()
        self._stop.check()

    def count_tokens(self, messages: Messages) -> int:
        """See Engine."""
        return self._inner.count_tokens(messages)

    def check_labels(self, labels: Sequence[str]) -> None:
        """See Engine."""
        self._inner.check_labels(labels)

    def forget(self) -> None:
        """See Engine."""
        self._inner.forget()

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """See Engine."""
        self._stop.check()
        answers = cast("Any", self._inner.run(requests))
        with self._stop.polled(), closing(answers):
            for completion in answers:
                self.answered += 1
                yield completion
                if not self.exact:
                    self._stop.check()

    def pulse(self) -> str:
        """What the engine says of its progress within a block; "" for one that says nothing."""
        return getattr(self._inner, "pulse", str)()

    def describe(self) -> dict[str, Any]:
        """See Engine."""
        return self._inner.describe()
