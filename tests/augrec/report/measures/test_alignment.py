"""The probe on texts that belong to their ids, on shuffled ones, and where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from augrec.report.measures import alignment as module
from augrec.report.measures.alignment import alignment, judged, near_each, near_in_popularity, nearest
from augrec.report.measures.meetings import Meetings

ITEMS, USERS, TOPICS = 600, 300, 20
FEW = 99


def world(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of items, the interactions int64 [m, 2], and vectors of users: everybody likes two topics."""
    rng = np.random.default_rng(seed)
    topics, tastes = rng.normal(size=(TOPICS, 16)), rng.integers(0, TOPICS, (USERS, 2))
    of_item = rng.integers(0, TOPICS, ITEMS)
    chance = rng.permutation(np.geomspace(0.005, 0.2, ITEMS)) * (1 + 4 * (of_item == tastes[:, :1]))
    chance = chance * (1 + 4 * (of_item == tastes[:, 1:]))
    items = topics[of_item] + rng.normal(0, 0.5, (ITEMS, 16))
    users = topics[tastes].sum(axis=1) + rng.normal(0, 0.5, (USERS, 16))
    return items, np.argwhere(rng.random((USERS, ITEMS)) < chance), users


def test_texts_that_belong_here_are_found_and_shuffled_ones_are_apart() -> None:
    items, train, _ = world()
    own = alignment("own", "item", items, train, permutations=FEW)
    assert own.verdict == "aligned"
    assert own.texts.found
    assert own.texts.ratio is not None
    assert own.texts.ratio > 1.3
    assert own.histories.found
    assert not own.shuffled.found
    assert own.texts.pairs >= 5000
    assert own.entities > 400
    moved = items[np.random.default_rng(1).permutation(ITEMS)]
    other = alignment("moved", "item", moved, train, permutations=FEW)
    assert other.verdict == "apart"
    assert "do not belong" in other.why
    assert not other.texts.found
    assert other.histories.found


def test_texts_of_users_are_probed_by_the_items_they_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_PAIRS", 2_000)
    _, train, users = world()
    assert alignment("own", "user", users, train, permutations=FEW).verdict == "aligned"
    turned = alignment("own", "item", users, train[:, ::-1], permutations=FEW)
    assert turned.texts == alignment("own", "user", users, train, permutations=FEW).texts


def test_few_texts_and_histories_without_structure_leave_it_undecided() -> None:
    items, train, _ = world()
    few = np.where(np.arange(ITEMS)[:, None] < 100, items, 0.0)
    found = alignment("few", "item", few, train, permutations=FEW)
    assert found.verdict == "undecided"
    assert "too few" in found.why
    assert found.entities <= 100
    rng = np.random.default_rng(2)
    alone = np.stack([rng.integers(0, USERS, 4000), rng.integers(0, ITEMS, 4000)], axis=1)
    drawn = alignment("drawn", "item", items, np.unique(alone, axis=0), permutations=FEW)
    assert drawn.verdict == "undecided"
    assert "nothing could be found" in drawn.why
    nobody = alignment("none", "item", np.zeros((ITEMS, 3)), train, permutations=9)
    assert nobody.verdict == "undecided"
    assert nobody.entities == 0
    assert nobody.texts.pairs == 0


def test_the_same_seed_finds_the_same_and_sparse_vectors_what_dense_ones_do() -> None:
    items, train, _ = world()
    flags = (items > 0.7).astype(np.float64)
    one = alignment("a", "item", flags, train, permutations=19, seed=3)
    assert one == alignment("a", "item", sp.csr_array(flags), train, permutations=19, seed=3)
    assert one != alignment("a", "item", flags, train, permutations=19, seed=4)
    assert one == alignment("a", "item", flags, train[np.random.default_rng(0).permutation(len(train))],
                            permutations=19, seed=3)  # fmt: skip


def test_of_many_the_most_popular_and_of_many_others_a_draw_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    items, train, _ = world()
    monkeypatch.setattr(module, "MOST", 150)
    monkeypatch.setattr(module, "MOST_OTHERS", 200)
    found = alignment("a", "item", items, train, permutations=9)
    counts = np.sort(np.bincount(train[:, 1], minlength=ITEMS))[::-1]
    assert found.entities == 150
    pairs = 150 * 149 / 2
    assert found.texts.observed / found.texts.pairs > 0.3 * counts[:150].mean() ** 2 / USERS * 200 / USERS
    assert found.texts.pairs < pairs


def test_nearest_are_those_of_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", 7 * 60)
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(60, 5))
    vectors[7] = 0
    expected = set()
    for row in range(60):
        if row == 7:
            continue
        like = {
            other: float(vectors[row] @ vectors[other] / np.linalg.norm(vectors[row]) / np.linalg.norm(vectors[other]))
            for other in range(60)
            if other not in (row, 7)
        }
        best = sorted(like, key=lambda other: -like[other])[: near_each(60)]
        expected |= {(min(row, other), max(row, other)) for other in best if like[other] > 0}
    assert near_each(60) == 3
    for given in (vectors, sp.csr_array(vectors)):
        assert set(map(tuple, nearest(given, rng).tolist())) == expected


def test_equally_near_ones_are_drawn_and_not_taken_by_id() -> None:
    same = np.ones((200, 2))
    near = nearest(same, np.random.default_rng(5))
    counts = np.bincount(near.ravel(), minlength=200)
    assert counts[:10].mean() < 1.5 * counts.mean()
    assert len(near) == len(np.unique(near, axis=0))
    assert (near[:, 0] < near[:, 1]).all()
    assert not np.array_equal(near, nearest(same, np.random.default_rng(6)))


def test_neighbours_in_popularity_are_next_to_each_other() -> None:
    popularity = np.random.default_rng(7).permutation(50)
    pairs = near_in_popularity(popularity, 2, np.random.default_rng(8))
    assert len(pairs) == 49 + 48
    assert (np.abs(popularity[pairs[:, 0]] - popularity[pairs[:, 1]]) <= 2).all()


def met(ratio: float | None, p: float, spread: float = 0.02, pairs: int = 9000) -> Meetings:
    return Meetings(pairs, 100, 100.0, ratio, None if ratio is None else spread, p)


NO = met(1.0, 0.5)


@pytest.mark.parametrize(
    ("texts", "histories", "negative", "verdict"),
    [
        (met(1.2, 0.002), met(1.4, 0.002), (NO, NO), "aligned"),
        (met(1.2, 0.002), met(1.4, 0.002), (met(1.02, 0.002), NO), "aligned"),
        (met(1.05, 0.002), met(1.4, 0.002), (met(1.02, 0.002), NO), "undecided"),  # popularity does nearly as much
        (met(0.99, 0.6), met(1.4, 0.002), (NO, NO), "apart"),
        (met(0.99, 0.6, spread=0.2), met(1.4, 0.002), (NO, NO), "undecided"),  # belonging texts could look like this
        (met(1.2, 0.002, pairs=4999), met(1.4, 0.002), (NO, NO), "undecided"),
        (met(0.99, 0.6), met(1.01, 0.3), (NO, NO), "undecided"),
        (met(None, 1.0), met(None, 1.0), (NO, NO), "undecided"),
    ],
)
def test_the_rule(texts: Meetings, histories: Meetings, negative: tuple[Meetings, ...], verdict: str) -> None:
    assert judged(texts, histories, negative)[0] == verdict
