"""An engine that several shards share and that ends in good order when the process is asked to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any, cast

from augment.accounting.endpoints import Accounts
from augment.engines.base import Engine
from augment.messages import Completion, Messages, Request


class StoppableEngine(Engine):
    """See Engine. Entering and leaving it is left to whoever made the inner engine.

    A stop ends a block of an exact engine when the block is finished, since part of it would be computed again; any
    other engine is stopped between two answers.

    Args:
        inner: what answers.
        check: raises when a stop was asked for.
        polled: a block inside which the wish to stop interrupts nothing, and is left to `check`.
        shielded: a block inside which it does not reach the processes that are started either.
    """

    def __init__(
        self,
        inner: Engine,
        *,
        check: Callable[[], None],
        polled: Callable[[], AbstractContextManager[Any]] = nullcontext,
        shielded: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._inner, self._check, self._polled, self._shielded = inner, check, polled, shielded
        self.identity = inner.identity
        self.context = inner.context
        self.block = inner.block
        self.exact = inner.exact
        self.answered = 0
        """Answers so far."""

    def start(self) -> None:
        """See Engine."""
        with self._stop_first(), self._polled(), self._shielded():
            self._inner.start()
        self._check()

    def count_tokens(self, messages: Messages) -> int:
        """See Engine."""
        return self._inner.count_tokens(messages)

    def check_labels(self, labels: Sequence[str]) -> None:
        """See Engine."""
        self._inner.check_labels(labels)

    def clear_cache(self) -> None:
        """See Engine."""
        self._inner.clear_cache()

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """See Engine."""
        self._check()
        answers = cast("Any", self._inner.run(requests))
        with self._stop_first(), self._polled(), closing(answers):
            for completion in answers:
                self.answered += 1
                yield completion
                if not self.exact:
                    self._check()

    @contextmanager
    def _stop_first(self) -> Iterator[None]:
        """An engine whose own processes were ended by Ctrl-C as well has not failed."""
        try:
            yield
        except Exception:
            self._check()
            raise

    def pulse(self) -> str:
        """See Engine."""
        return self._inner.pulse()

    def accounts(self) -> Accounts:
        """See Engine."""
        return self._inner.accounts()

    def describe(self) -> dict[str, Any]:
        """See Engine."""
        return self._inner.describe()
