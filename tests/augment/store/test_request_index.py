"""The table of known requests does what a dictionary does, in less room."""

from __future__ import annotations

import hashlib
import random

import pytest

from augment.store.request_index import FIRST_PLACES, FULLEST, KEY_BYTES, KeyTable, key_digest


def test_it_is_a_dictionary_that_keeps_the_first_mark() -> None:
    rng = random.Random(0)
    table, expected = KeyTable(), dict[str, int]()
    for _ in range(5000):
        key, mark = f"key {rng.randrange(2000)}", rng.randrange(2**64)
        assert (key in table) == (key in expected)
        table.add(key, mark)
        expected.setdefault(key, mark)
        assert len(table) == len(expected)
    assert {key: table.get(key) for key in expected} == expected
    assert table.get("never") is None
    assert 7 not in table
    table.add("without a mark")
    table.add_digest(key_digest("nor this"))
    assert table.get("without a mark") == table.get("nor this") == 0


def test_keys_that_share_a_half_or_have_one_of_zeros_are_told_apart_also_when_the_table_grows() -> None:
    table, halves = KeyTable(), [(1, 1), (0, 1), (1, 0), (0, 2), (1, 2), (2, 1)]

    def digest(high: int, low: int) -> bytes:
        return high.to_bytes(8, "big") + low.to_bytes(8, "big")

    for pair in halves:
        assert not table.has(digest(*pair))
        table.add_digest(digest(*pair))
    for number in range(3000):
        table.add(f"key {number}")
    assert len(table) == 3000 + len(halves)
    assert all(table.has(digest(*pair)) for pair in halves)
    assert not any(table.has(digest(*pair)) for pair in [(2, 2), (2, 0), (0, 3), (0, 0)])


@pytest.mark.parametrize("place", range(KEY_BYTES))
def test_every_byte_of_a_digest_tells_keys_apart(place: int) -> None:
    table, known = KeyTable(), bytes(range(1, KEY_BYTES + 1))
    table.add_digest(known)
    other = bytearray(known)
    other[place] ^= 0x80
    assert table.has(known)
    assert not table.has(bytes(other))


@pytest.mark.parametrize("count", [1000, 20_000])
def test_it_takes_at_most_50_bytes_a_key(count: int) -> None:
    table = KeyTable()
    for number in range(count):
        table.add(hashlib.sha256(str(number).encode()).hexdigest())
        assert number < 100 or table.nbytes <= 50 * len(table)


def test_it_grows_when_more_than_the_share_is_in_use() -> None:
    table, fits = KeyTable(), int(FULLEST * FIRST_PLACES)
    assert fits == FULLEST * FIRST_PLACES
    first = table.nbytes
    assert first == 24 * FIRST_PLACES
    for number in range(fits):
        table.add(f"key {number}")
    assert table.nbytes == first
    table.add(f"key {fits - 1}")
    assert table.nbytes == first, "a key that is there already takes no place"
    table.add("one more")
    assert table.nbytes > first
