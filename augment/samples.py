"""Which items of a user, or reviews of an item, a prompt shows where it cannot show all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence


def sample(entries: Sequence[int], number: int, name: Callable[[int], str], stream: str) -> list[int]:
    """At most `number` of the entries, drawn uniformly, in the order of their draws.

    Each entry's draw is a hash of its own name, so that a larger number adds to a smaller one, and entries that come or
    go change nothing but their own place.

    Args:
        entries: ids, each once.
        name: what an entry is called whatever the data set's contiguous ids: its source's id.
        stream: tells draws apart; holds the run's seed, what is drawn, and for whom.
    """
    draws = {entry: hashlib.sha256(f"{stream}/{name(entry)}".encode()).digest() for entry in entries}
    return sorted(entries, key=draws.__getitem__)[:number]
