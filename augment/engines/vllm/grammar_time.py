"""How long vLLM works on grammars. It reports nothing of it, so two methods of its manager are timed from outside.

`compile` is the time of handing over requests' grammars: compiling each distinct one, and finding it again for the
requests after. `mask` is the time of working out, in every step, which tokens each request may write next. Both are
spent on the CPU; on a GPU the second passes while the model computes, so it is no part that could simply be saved.
What is not seen: moving each grammar on by the token that was drawn, which is short.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

METHODS = {"compile": "grammar_init", "mask": "grammar_bitmask"}


class GrammarTime:
    """Seconds since a manager was watched, by what was done; empty when this vLLM has no such manager.

    Args:
        manager: vLLM's manager of structured output.
    """

    def __init__(self, manager: Any) -> None:
        self._seconds: dict[str, float] = {}
        for name, method in METHODS.items():
            if callable(getattr(manager, method, None)):
                self._seconds[name] = 0.0
                setattr(manager, method, self._timed(getattr(manager, method), name))

    def seconds(self) -> dict[str, float]:
        """What was spent so far."""
        return dict(self._seconds)

    def _timed(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(call)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self._seconds[name] += time.perf_counter() - began

        return timed
