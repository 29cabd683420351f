"""Triplets that are drawn one by one: whose they may be, and how often each comes."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from recsys.batches import single_triplets
from recsys.batches.single_triplets import SingleTriplets
from recsys.seeds import seeded

USERS, ITEMS, DRAWS = 9, 8, 40_000


def interactions() -> np.ndarray:
    """User 6 lacks one item alone, user 7 none, user 8 all; user 5 has the first and the last."""
    there = np.random.default_rng(2).random((USERS, ITEMS)) < 0.4
    there[5] = [True] + [False] * 6 + [True]
    there[6], there[6, 3], there[7], there[8] = True, False, True, False
    return np.argwhere(there)


@pytest.mark.parametrize("table", [0, single_triplets.TABLE])
def test_every_triplet_comes_as_often_as_uniform_draws_say_and_no_other(
    monkeypatch: pytest.MonkeyPatch, table: int
) -> None:
    """By a search, and by a table of who has what."""
    monkeypatch.setattr(single_triplets, "TABLE", table)
    edges = interactions()
    triplets = SingleTriplets(np.random.default_rng(0).permutation(edges), USERS, ITEMS, seeded(3, "sampler"))
    assert "1 users own every item" in triplets.notes[-1]
    found = triplets.drawn(DRAWS)
    counts = Counter(zip(found.user.tolist(), found.positive.tolist(), found.negative.tolist(), strict=True))
    owned = [{item for owner, item in edges.tolist() if owner == user} for user in range(USERS)]
    expected = {
        (user, positive, negative): DRAWS / len(edges) / ITEMS
        for user, positive in edges.tolist()
        for negative in range(ITEMS)
        if negative not in owned[user]
    }
    assert set(counts) == set(expected)
    chi_square = sum((counts[key] - mean) ** 2 / mean for key, mean in expected.items())
    assert chi_square < len(expected) + 4 * math.sqrt(2 * len(expected))


def test_an_epoch_has_a_draw_for_each_interaction_in_batches_that_are_never_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user who lacks one item of eight: seven draws of eight are passed over."""
    monkeypatch.setattr(single_triplets, "MOST", 3)
    triplets = SingleTriplets(np.argwhere(np.arange(ITEMS)[None, :] != 3), 1, ITEMS, seeded(3, "sampler"))
    batches = [batch for _ in range(40) for batch in triplets.epoch()]
    assert len(batches) == 40 * 3
    assert {len(batch) for batch in batches} == {1, 2}
    assert {item for batch in batches for item in batch.negative.tolist()} == {3}
    assert {item for batch in batches for item in batch.positive.tolist()} == {*range(ITEMS)} - {3}


@pytest.mark.parametrize(("users", "items"), [(9, 8), (31, 33), (64, 2), (3, 1000)])
def test_a_table_and_a_search_draw_the_same(monkeypatch: pytest.MonkeyPatch, users: int, items: int) -> None:
    there = np.random.default_rng(users).random((users, items)) < 0.3
    found = []
    for most in (single_triplets.TABLE, users * items // 8):  # the second is a byte short
        monkeypatch.setattr(single_triplets, "TABLE", most)
        triplets = SingleTriplets(np.argwhere(there), users, items, seeded(3, "sampler"))
        found.append(triplets.drawn(5000))
        assert bool(len(triplets.table)) == (most == 2**24)
    one, other = found
    assert len(one) > 1000
    for of_one, of_other in ((one.user, other.user), (one.positive, other.positive), (one.negative, other.negative)):
        np.testing.assert_array_equal(of_one, of_other)


def test_nobody_to_draw_for_is_said() -> None:
    with pytest.raises(DataError, match="no user has both"):
        SingleTriplets(np.argwhere(np.ones((2, 3))), 4, 3, seeded(3, "sampler"))
