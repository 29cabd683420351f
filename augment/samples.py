"""Which items of a user, or reviews of an item, a prompt shows where it cannot show all; and whom it is about."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

UsersBy = Literal["random", "tail", "head"]
"""In which order users are asked about: drawn, fewest training interactions first, most first."""


def sample(entries: Sequence[int], number: int, name: Callable[[int], str], stream: str) -> list[int]:
    """At most `number` of the entries, drawn uniformly, in the order of their draws.

    Each entry's draw is a hash of its own name, so that a larger number adds to a smaller one, and entries that come or
    go change nothing but their own place.

    Args:
        entries: ids, each once.
        name: what an entry is called whatever the data set's contiguous ids: its source's id.
        stream: tells draws apart; holds the run's seed, what is drawn, and for whom.
    """
    return by_degree(entries, number, None, name, stream)


def by_degree(
    entries: Sequence[int],
    number: int,
    degrees: Mapping[int, int] | np.ndarray | None,
    name: Callable[[int], str],
    stream: str,
) -> list[int]:
    """At most `number` of the entries, those of the lowest degree first, and equal ones in the order of their draws.

    Arguments as for `sample`; `degrees` by entry, None where all are equal.
    """
    draws = {entry: hashlib.sha256(f"{stream}/{name(entry)}".encode()).digest() for entry in entries}

    def place(entry: int) -> tuple[int, bytes]:
        return 0 if degrees is None else int(degrees[entry]), draws[entry]

    return sorted(entries, key=place)[:number]
