"""Precision of edges against loops, beside item-kNN and a draw from the same candidates."""

from __future__ import annotations

import numpy as np
import pytest

from augrec.report.measures import edge_worth as module
from augrec.report.measures.edge_worth import edge_worth, knn_hits, share_of
from augrec.report.measures.resampled_means import ResampledMean

USERS, ITEMS = 30, 24


def split(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    train, valid = [], []
    for user in range(USERS):
        drawn = rng.permutation(ITEMS)[: rng.integers(4, 12)].tolist()
        train += [(user, item) for item in drawn[:-2]]
        valid += [(user, item) for item in drawn[-2:]]
    return np.array(train), np.array(valid)


def slow_knn(train: np.ndarray, user: int) -> np.ndarray:
    """Scores of all items for a user, pair by pair."""
    fans = [set(train[train[:, 1] == item, 0].tolist()) for item in range(ITEMS)]
    own = train[train[:, 0] == user, 1].tolist()
    scores = np.zeros(ITEMS)
    for item in range(ITEMS):
        for other in own:
            if item != other and fans[item] and fans[other]:
                scores[item] += len(fans[item] & fans[other]) / np.sqrt(len(fans[item]) * len(fans[other]))
    scores[own] = -1
    return scores


def test_knn_gets_as_many_items_and_is_judged_as_a_loop_judges_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", 7 * ITEMS)
    train, valid = split()
    suggested = np.random.default_rng(1).integers(0, 4, USERS)
    found = knn_hits(suggested, train, valid, USERS, ITEMS, np.random.default_rng(2))
    wanted = set(map(tuple, valid.tolist()))
    for user in range(USERS):
        scores = slow_knn(train, user)
        order = np.argsort(-scores)
        if suggested[user] and np.isclose(scores[order[suggested[user] - 1]], scores[order[suggested[user]]]):
            continue  # a tie at the cut: either is right
        assert found[user] == sum((user, int(item)) in wanted for item in order[: suggested[user]])


def test_everything_is_counted_by_hand() -> None:
    train = np.array([(0, 0), (0, 1), (1, 0), (1, 2), (2, 1)])
    valid = np.array([(0, 2), (1, 3), (2, 0)])
    edges = np.array([(0, 2), (0, 2), (0, 3), (1, 2), (2, 0), (2, 9), (7, 1), (1, -1)])
    lists = {0: [3, 2, 4, 5], 1: [3, 1], 2: [4, 0, 3]}
    shown = [lists.get(user, []) for user in edges[:, 0].tolist()]
    found = edge_worth("llm", "edges", edges, train, valid, n_users=3, n_items=6, shown=shown)
    assert (found.users, found.edges, found.known, found.right) == (3, 4, 1, 2)
    assert found.precision.mean == 2 / 4
    assert (found.chosen, found.places, found.right_at) == (3, (1, 2), (0, 2))  # user 1's was not shown
    assert found.choice.mean == 2 / 3
    assert found.random.mean == pytest.approx((2 * 1 / 4 + 1 * 1 / 3) / 3)
    assert found.above_random.mean == pytest.approx(2 / 3 - (2 / 4 + 1 / 3) / 3)
    # item-kNN: user 0 has 0 and 1, so item 2 (beside 0 at user 1) leads and another follows; user 2 gets item 0
    assert found.knn.mean is not None
    assert found.knn.mean >= 2 / 4
    assert found.above_knn.mean == pytest.approx(found.precision.mean - found.knn.mean)


def test_without_lists_there_is_no_random_draw_and_without_edges_nothing() -> None:
    train, valid = split()
    found = edge_worth("a", "edges", valid[:9], train, valid, n_users=USERS, n_items=ITEMS)
    assert found.precision.mean == 1.0
    assert found.random == found.choice == found.above_random == ResampledMean(None, None, None)
    assert found.places == found.right_at == ()
    nothing = edge_worth("a", "edges", np.empty((0, 2), np.int64), train, valid, n_users=USERS, n_items=ITEMS)
    assert (nothing.users, nothing.edges, nothing.precision.mean, nothing.knn.mean) == (0, 0, None, None)


def test_a_uniform_choice_is_worth_what_random_says() -> None:
    rng = np.random.default_rng(3)
    train, valid = split()
    shown = [rng.permutation(ITEMS)[:8].tolist() for _ in range(USERS)]
    drawn = []
    for _ in range(80):
        edges = np.array([(user, rng.choice(items)) for user, items in enumerate(shown)])
        found = edge_worth("a", "e", edges, train, valid, n_users=USERS, n_items=ITEMS, shown=shown)
        drawn.append(found.choice.mean)
    assert found.random.mean == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(len(drawn)))


def test_the_interval_of_a_share_covers_it_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(4)
    inside = []
    for _ in range(100):
        edges = rng.integers(0, 6, 150)
        estimate = share_of(rng.binomial(edges, 0.2).astype(float), edges, rng)
        assert estimate.low is not None
        assert estimate.high is not None
        inside.append(estimate.low <= 0.2 <= estimate.high)
    assert 0.88 < np.mean(inside) < 0.995
    assert share_of(np.array([1.0]), np.array([4]), rng) == ResampledMean(0.25, None, None)
