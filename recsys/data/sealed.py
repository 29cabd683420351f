"""What stands for the test interactions wherever something is chosen: whatever is asked of it is an error.

A choice (of an epoch, an option, a weight, a candidate) that has seen the test split is no prediction of it. So what
chooses is handed data whose test split is sealed, and only the evaluation after the choice gets the others.
"""

from __future__ import annotations

from typing import Any, NoReturn


class SealedSplit(RuntimeError):
    """Somebody who chooses asked for the test interactions: a mistake of the program, not of its user."""

    def __init__(self) -> None:
        super().__init__("the test split is sealed: what chooses may look at training and validation alone")


class Sealed:
    """Stands in the place of an array; can be handed on, copied and pickled, and not be looked at."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise SealedSplit

    __len__ = __iter__ = __getitem__ = __contains__ = __bool__ = __array__ = _refuse

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # asked by copy and pickle, which take an AttributeError for an answer
            raise AttributeError(name)
        raise SealedSplit
