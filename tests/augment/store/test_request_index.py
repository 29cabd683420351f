"""The table of known requests does what a dictionary does, in less room."""

from __future__ import annotations

import hashlib
import random

import pytest

from augment.store.request_index import KeyTable


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


@pytest.mark.parametrize("count", [1000, 20_000])
def test_it_takes_at_most_50_bytes_a_key(count: int) -> None:
    table = KeyTable()
    for number in range(count):
        table.add(hashlib.sha256(str(number).encode()).hexdigest())
        assert number < 100 or table.nbytes <= 50 * len(table)
