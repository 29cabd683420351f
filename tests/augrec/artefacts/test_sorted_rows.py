"""Orders of rows, against `np.lexsort`; keys looked up in others, against a set."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from augrec.artefacts.sorted_rows import among, in_order, order_by


@pytest.mark.parametrize(("keys", "known"), [(40, 30), (0, 5), (5, 0), (0, 0), (300, 300)])
def test_keys_are_among_others_as_in_a_set(keys: int, known: int) -> None:
    rng = np.random.default_rng(keys)
    asked, others = rng.integers(-50, 50, keys), rng.integers(-40, 40, known)
    found = among(asked, others)
    assert found.dtype == bool
    assert found.tolist() == [key in set(others.tolist()) for key in asked.tolist()]


@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4])
def test_rows_are_in_order_as_tuples_are(columns: int, rows: int) -> None:
    found = set()
    for values in itertools.product(range(2), repeat=columns * rows):
        table = np.array(values, dtype=np.int32).reshape(columns, rows)
        tuples = list(zip(*table.tolist(), strict=True))
        assert in_order(*table) == (tuples == sorted(tuples))
        found.add(in_order(*table))
    assert found == ({True, False} if rows > 1 else {True})


ENDS = np.iinfo(np.int64)


@pytest.mark.parametrize(
    "second",
    [
        np.random.default_rng(0).integers(0, 3, 500),
        np.random.default_rng(1).integers(1_500_000_000, 1_600_000_000, 500),
        -np.random.default_rng(2).integers(0, 2**40, 500),
        np.random.default_rng(3).choice([ENDS.min, -1, 0, ENDS.max - 1, ENDS.max], 500),
        np.random.default_rng(4).choice(np.array([-128, 0, 5, 127], dtype=np.int8), 500),
        np.random.default_rng(5).choice(np.array([0, 1, 2**64 - 1], dtype=np.uint64), 500),
        np.random.default_rng(6).choice([0.5, -np.inf, np.nan, 2.0], 500),
        np.full(500, 7),
        np.empty(0, dtype=np.int64),
    ],
    ids=["few", "seconds", "before 1970", "ends", "int8", "uint64", "float", "all alike", "none"],
)
@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("most", [1, 40, 2**31 - 1])
def test_the_order_is_that_of_two_keys_with_equal_rows_as_they_stand(
    second: np.ndarray, kind: type[np.integer], most: int
) -> None:
    first = np.random.default_rng(7).integers(0, most, len(second)).astype(kind)
    before = first.copy(), second.copy()
    np.testing.assert_array_equal(order_by(first, second), np.lexsort((second, first)))
    np.testing.assert_array_equal(first, before[0])
    np.testing.assert_array_equal(second, before[1])
