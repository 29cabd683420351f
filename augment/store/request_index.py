"""Which requests are known, in a few bytes each: sets and dictionaries of Python strings take ten times as many."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator

FULLEST = 0.75
"""Share of the places in use before there are more."""
GROWTH = 1.5
FIRST_PLACES = 64
KEY_BYTES = 16


class KeyTable:
    """A dictionary from request keys to 64-bit marks; nothing is taken out of it.

    Keys are kept as 128-bit digests: that two of 10^9 are the same has a probability of 10^-21. Open addressing with
    linear probing: 24 bytes per place, 32 to 48 per key.
    """

    def __init__(self) -> None:
        self._count = 0
        self._make(FIRST_PLACES)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.has(key_digest(key))

    def has(self, digest: bytes) -> bool:
        """Whether the key of a digest is there."""
        return self._find(*_halves(digest))[1]

    @property
    def nbytes(self) -> int:
        """What the table takes."""
        return len(self._slots) * self._slots.itemsize

    def get(self, key: str) -> int | None:
        """The mark of a key; None when it is not there."""
        place, there = self._find(*_halves(key_digest(key)))
        return self._slots[place + 2] if there else None

    def add(self, key: str, mark: int = 0) -> None:
        """Adds a key with its mark (0 to 2^64 - 1); one that is there already keeps its mark."""
        self.add_digest(key_digest(key), mark)

    def add_digest(self, digest: bytes, mark: int = 0) -> None:
        """`add` for a key of which only the digest is known."""
        high, low = _halves(digest)
        place, there = self._find(high, low)
        if there:
            return
        self._put(place, high, low, mark)
        self._count += 1
        if self._count > FULLEST * self._places:
            self._grow()

    def _make(self, places: int) -> None:
        self._places = places
        self._slots = array("Q", bytes(24 * places))

    def _find(self, high: int, low: int) -> tuple[int, bool]:
        """Where a key is, or would be, and whether it is."""
        slots, end = self._slots, 3 * self._places
        place = 3 * (low % self._places)
        while slots[place] or slots[place + 1]:
            if slots[place] == high and slots[place + 1] == low:
                return place, True
            place += 3
            if place == end:
                place = 0
        return place, False

    def _put(self, place: int, high: int, low: int, mark: int) -> None:
        self._slots[place], self._slots[place + 1], self._slots[place + 2] = high, low, mark

    def _grow(self) -> None:
        old = self._slots
        self._make(int(self._places * GROWTH))
        for high, low, mark in _triples(old):
            if high or low:
                self._put(self._find(high, low)[0], high, low, mark)


def key_digest(key: str) -> bytes:
    """`KEY_BYTES` bytes that stand for a key."""
    return hashlib.blake2b(key.encode(), digest_size=KEY_BYTES).digest()


def _halves(digest: bytes) -> tuple[int, int]:
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


def _triples(slots: array[int]) -> Iterator[tuple[int, int, int]]:
    values = iter(slots)
    return zip(values, values, values, strict=True)
