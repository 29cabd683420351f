"""Who is far and alike, and where a model holds them: against searches in loops."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from augrec.report.measures.distant_users import DistantPairs, distant_pairs, nearness, places

USERS, ITEMS = 40, 60


@pytest.fixture
def train() -> np.ndarray:
    """Few interactions, so that users are two to eight hops apart and some are out of reach; one has none."""
    rng = np.random.default_rng(3)
    pairs = {(int(u), int(i)) for u in range(USERS - 1) for i in rng.integers(0, ITEMS, 2)}
    return np.array(sorted(pairs))


@pytest.fixture
def texts() -> np.ndarray:
    return np.random.default_rng(4).normal(size=(USERS, 5)).astype(np.float32)


def hops_between(train: np.ndarray) -> np.ndarray:
    """Breadth first, from each user; a thousand where there is no way."""
    found = np.full((USERS, USERS), 1000)
    for user in range(USERS):
        seen, queue = {("u", user): 0}, deque([("u", user)])
        while queue:
            kind, node = queue.popleft()
            for u, i in train.tolist():
                other = ("i", i) if kind == "u" and u == node else ("u", u) if kind == "i" and i == node else None
                if other is not None and other not in seen:
                    seen[other] = seen[kind, node] + 1
                    queue.append(other)
        for (kind, node), distance in seen.items():
            if kind == "u":
                found[user, node] = distance
    return found


def drawn(
    train: np.ndarray, texts: np.ndarray, hops: int, known: np.ndarray | None = None, near: int = 2
) -> DistantPairs:
    known = np.ones(USERS, bool) if known is None else known
    rng = np.random.default_rng(0)
    return distant_pairs(train, USERS, ITEMS, texts, known, hops=hops, near=near, sample=USERS, rng=rng)


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first.astype(float), second.astype(float)
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


@pytest.mark.parametrize("hops", [1, 3, 5])
def test_far_and_near_are_those_of_a_search(train: np.ndarray, texts: np.ndarray, hops: int) -> None:
    known = np.arange(USERS) % 7 != 0
    pairs, distance = drawn(train, texts, hops, known), hops_between(train)
    assert len(pairs.users)
    for row, user in enumerate(pairs.users.tolist()):
        assert known[user]
        far = [other for other in range(USERS) if distance[user, other] > hops and known[other]]
        assert np.flatnonzero(pairs.far[row]).tolist() == far
        alike = sorted(far, key=lambda other: -cosine(texts[user], texts[other]))
        assert pairs.near[row].tolist() == alike[:2]
        assert set(pairs.drawn[row].tolist()) <= set(far)
        assert len(set(pairs.drawn[row].tolist())) == 2


def test_places_are_counted_one_by_one(train: np.ndarray, texts: np.ndarray) -> None:
    pairs = drawn(train, texts, 3)
    embeddings = np.random.default_rng(5).normal(size=(USERS, 8)).astype(np.float32)
    found = places(embeddings, pairs)
    for row, user in enumerate(pairs.users.tolist()):
        far = np.flatnonzero(pairs.far[row]).tolist()
        for column, chosen in enumerate((pairs.near[row], pairs.drawn[row])):
            shares = []
            for one in chosen.tolist():
                own = cosine(embeddings[user], embeddings[one])
                further = sum(cosine(embeddings[user], embeddings[other]) < own for other in far if other != one)
                shares.append(100 * further / (len(far) - 1))
            assert found[row, column] == pytest.approx(np.mean(shares), abs=1e-4)


def test_a_model_that_is_the_texts_holds_them_nearest_and_its_opposite_furthest(
    train: np.ndarray, texts: np.ndarray
) -> None:
    pairs = drawn(train, texts, 3, near=1)
    assert places(texts, pairs)[:, 0] == pytest.approx(100)
    opposite = drawn(train, texts, 3, near=1)
    for row, user in enumerate(opposite.users.tolist()):
        far = np.flatnonzero(opposite.far[row])
        opposite.near[row] = far[np.argmin([cosine(texts[user], texts[other]) for other in far])]
    assert places(texts, opposite)[:, 0] == pytest.approx(0, abs=1e-6)


def test_a_model_that_tells_nobody_apart_is_a_chance(train: np.ndarray, texts: np.ndarray) -> None:
    pairs = drawn(train, texts, 3)
    for embeddings in (np.ones((USERS, 4), np.float32), np.zeros((USERS, 4), np.float32)):
        assert places(embeddings, pairs) == pytest.approx(50)


def test_a_model_without_texts_is_a_chance_on_average(train: np.ndarray) -> None:
    rng, near = np.random.default_rng(8), []
    for _ in range(60):
        texts = rng.normal(size=(USERS, 5)).astype(np.float32)
        near.append(places(rng.normal(size=(USERS, 16)).astype(np.float32), drawn(train, texts, 3))[:, 0].mean())
    assert np.mean(near) == pytest.approx(50, abs=1.5)


def test_means_and_intervals() -> None:
    rng = np.random.default_rng(1)
    base = np.stack([50 + rng.normal(size=400), 50 + rng.normal(size=400)], axis=1)
    better = base + np.array([5.0, 0.0])
    found = nearness("con", 3, better, base, np.random.default_rng(0))
    assert (found.variant, found.seeds, found.users) == ("con", 3, 400)
    assert found.near == pytest.approx(better[:, 0].mean())
    assert found.low < found.near - found.drawn < found.high
    assert found.above == pytest.approx(5)
    assert (found.above_low, found.above_high) == (pytest.approx(5), pytest.approx(5))
    alone = nearness("base", 3, base, None, np.random.default_rng(0))
    assert (alone.above, alone.above_low, alone.above_high) == (None, None, None)
    assert alone.low < 0 < alone.high


def test_where_everybody_is_near_there_is_nothing_to_measure(texts: np.ndarray) -> None:
    together = np.stack([np.arange(USERS), np.zeros(USERS, int)], axis=1)
    with pytest.raises(DataError, match="no user has more than 2 others who are more than 3 hops away"):
        drawn(together, texts, 3)
