"""Nearest rows against loops over all pairs in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from recsys.graph import knn
from recsys.graph.knn import cosines, knn_operator, knn_pattern, nearest, symmetric


def rows(seed: int = 0, n: int = 23, missing: tuple[int, ...] = (4, 17)) -> np.ndarray:
    features = np.random.default_rng(seed).normal(size=(n, 5))
    features[list(missing)] = 0
    return features


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def by_hand(features: np.ndarray, k: int, include_self: bool) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for i, own in enumerate(features):
        found[i] = []
        if not own.any():
            continue
        others = [j for j in range(len(features)) if features[j].any() and (j != i or include_self)]
        order = sorted(others, key=lambda j: (-(2.0 if j == i else round(cosine(own, features[j]), 5)), j))
        found[i] = sorted(order[:k])
    return found


def listed(edges: torch.Tensor, n: int) -> dict[int, list[int]]:
    return {i: edges[edges[:, 0] == i, 1].tolist() for i in range(n)}


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("k", [1, 4, 40])
def test_nearest_equals_a_loop_over_all_pairs(k: int, include_self: bool) -> None:
    features = rows()
    found = nearest(torch.tensor(features), k, include_self=include_self)
    assert listed(found, 23) == by_hand(features, k, include_self)


def test_ties_go_to_the_lower_row_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.repeat(rows(1, 6, ()), 5, axis=0)
    expected = by_hand(features, 3, True)
    assert listed(nearest(torch.tensor(features), 3), 30) == expected
    assert expected[29] == [25, 26, 29]
    monkeypatch.setattr(knn, "BLOCK", 70)
    assert listed(nearest(torch.tensor(features), 3), 30) == expected


def test_without_any_vector_or_a_second_one_there_are_no_edges() -> None:
    assert nearest(torch.zeros(3, 2), 2).shape == (0, 2)
    assert nearest(torch.eye(3)[:, :2] * torch.tensor([[1.0], [0], [0]]), 2, include_self=False).shape == (0, 2)


@pytest.mark.parametrize("weighted", [True, False])
def test_operator_is_the_symmetrically_normalised_matrix(weighted: bool) -> None:
    features = rows(2).astype(np.float32)
    dense = np.zeros((23, 23))
    for i, neighbours in by_hand(features, 4, True).items():
        for j in neighbours:
            dense[i, j] = max(cosine(features[i].astype(float), features[j].astype(float)), 0) if weighted else 1
    degree = dense.sum(1)
    for i in range(23):
        for j in range(23):
            dense[i, j] = dense[i, j] / math.sqrt(degree[i] * degree[j]) if dense[i, j] else 0
    operator = knn_operator(torch.tensor(features), 4, weighted=weighted)
    assert torch.allclose(operator @ torch.eye(23), torch.tensor(dense, dtype=torch.float32), atol=1e-6)


def test_the_learned_graph_passes_gradients_on() -> None:
    features = torch.tensor(rows(3), requires_grad=True)
    pattern = knn_pattern(features, 3)
    x = torch.randn(23, 2, dtype=torch.float64, requires_grad=True)

    def smoothed(features: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return pattern.product(symmetric(cosines(features, pattern), pattern), x)

    present = [i for i in range(23) if i not in (4, 17)]  # normalising a row of zeros has no derivative

    def of_present(part: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return smoothed(torch.zeros_like(features).index_copy(0, torch.tensor(present), part), x)

    assert torch.autograd.gradcheck(of_present, (features[present].detach().requires_grad_(), x))
    smoothed(features, x).sum().backward()
    assert torch.isfinite(features.grad).all()
