"""In which order candidates are shown: drawn per user, so that a preference for places of a list averages out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from augment.catalog import Item
    from augment.source_ids import SourceIds


def drawn(items: Iterable[Item], user: int, seed: int | str, ids: SourceIds) -> tuple[Item, ...]:
    """A user's candidates in an order drawn from the seed and source ids alone.

    It is the same on every machine and for every version of a library, and one item more moves no other two.
    """
    whom = ids.of("user", user)
    return tuple(sorted(items, key=lambda item: _place(seed, whom, ids.of("item", item.item))))


def several(first: tuple[Item, ...], count: int, user: int, seed: int, ids: SourceIds) -> Iterator[tuple[Item, ...]]:
    """The candidates in `count` orders: the first one, its reverse, one drawn anew, its reverse, ...

    A preference that grows or falls evenly along the list cancels within each pair.
    """
    for number in range(count):
        if number > 1 and number % 2 == 0:
            first = drawn(first, user, f"{seed}/{number}", ids)
        yield first if number % 2 == 0 else first[::-1]


def _place(seed: int | str, user: str, item: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{user}\0{item}".encode()).digest()
