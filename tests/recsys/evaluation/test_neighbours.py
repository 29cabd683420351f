"""Nearest users against a reference in loops and float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from recsys.evaluation import neighbours as module
from recsys.evaluation.neighbours import nearest_users


def reference(vectors: np.ndarray, known: np.ndarray, count: int) -> list[list[tuple[int, float]]]:
    """(neighbour, cosine) of every user, nearest first, lower ids first at the same distance."""
    found = []
    for user, own in enumerate(vectors.tolist()):
        near = []
        for other, theirs in enumerate(vectors.tolist()):
            if other == user or not (known[user] and known[other]):
                continue
            lengths = math.sqrt(math.fsum(x * x for x in own)) * math.sqrt(math.fsum(x * x for x in theirs))
            near.append((other, math.fsum(x * y for x, y in zip(own, theirs, strict=True)) / lengths))
        found.append(sorted(near, key=lambda pair: (-pair[1], pair[0]))[:count])
    return found


@pytest.mark.parametrize("count", [1, 4, 99])
@pytest.mark.parametrize("chunk", [3, 1000])
def test_neighbours_are_those_of_the_reference(count: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "default_chunk", lambda _: chunk)
    rng = np.random.default_rng(0)
    vectors, known = rng.normal(size=(20, 5)).astype(np.float32), np.arange(20) % 7 != 6
    vectors[3] *= 50  # a length says nothing
    found = nearest_users(torch.from_numpy(vectors), known, count)
    expected = reference(vectors.astype(np.float64), known, count)
    for user in range(20):
        assert found.of(user).tolist() == [other for other, _ in expected[user]]
        own = found.similarity[found.starts[user] : found.starts[user + 1]]
        np.testing.assert_allclose(own, [cosine for _, cosine in expected[user]], atol=1e-6)
    assert found.of(6).tolist() == []
    assert 6 not in found.users


def test_equal_users_come_in_order_of_their_ids() -> None:
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    found = nearest_users(vectors, np.ones(4, dtype=bool), 2)
    assert [found.of(user).tolist() for user in range(4)] == [[1, 2], [0, 2], [0, 1], [0, 1]]


def test_a_user_alone_has_no_neighbour() -> None:
    assert nearest_users(torch.ones(1, 2), np.ones(1, dtype=bool), 1).users.tolist() == []
