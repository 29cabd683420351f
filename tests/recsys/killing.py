"""A training that is killed after some of its epochs, through the ticker it is given."""

from __future__ import annotations


class Killer:
    """Raises at the end of the epoch after the given ones, before that one's snapshot is taken."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, done: int = 1) -> None:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= done

    def skip(self, done: int = 1) -> None: ...

    def note(self, text: str) -> None: ...
