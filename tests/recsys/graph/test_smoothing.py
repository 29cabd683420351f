from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from recsys.graph.adjacency import adjacency
from recsys.graph.smoothing import SmoothingGraph

USERS, ITEMS = 7, 5
EDGES = np.array([(u, i) for u in range(USERS) for i in range(ITEMS) if (u * 3 + i * i) % 4 < 2])


def embeddings() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (USERS, ITEMS))
    return users.requires_grad_(), items.requires_grad_()


def dense(matrix: Tensor, x: Tensor, layers: int, first: int, pooling: str) -> Tensor:
    found = [torch.linalg.matrix_power(matrix, layer) @ x for layer in range(first, layers + 1)]
    total = torch.stack(found).sum(0)
    return total / len(found) if pooling == "mean" else total


def joint() -> Tensor:
    return adjacency(EDGES, USERS, ITEMS).matrix().to_dense().double()


@pytest.mark.parametrize("pooling", ["mean", "sum"])
@pytest.mark.parametrize(("layers", "first"), [(0, 0), (1, 0), (1, 1), (3, 0), (3, 1)])
def test_sums_and_means_of_powers(layers: int, first: Literal[0, 1], pooling: Literal["mean", "sum"]) -> None:
    graph, (users, items) = SmoothingGraph(EDGES, USERS, ITEMS).double(), embeddings()
    found = torch.cat(graph(users, items, layers, pooling=pooling, first=first))
    assert torch.allclose(found, dense(joint(), torch.cat([users, items]), layers, first, pooling), atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("layers", "first"), [(1, 0), (2, 1), (3, 0)])
def test_each_direction_of_an_edge_is_dropped_for_itself(
    layers: int, first: Literal[0, 1], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiled:
        for name in ("WORTH_LOADING", "NARROW"):
            monkeypatch.setattr(f"recsys.graph.sparse_operator.{name}", 0)
    graph, (users, items) = SmoothingGraph(EDGES, USERS, ITEMS).double(), embeddings()
    kept = torch.rand(2 * len(EDGES), generator=torch.Generator().manual_seed(3)) < 0.6
    matrix = joint()
    column, row = matrix.T.nonzero().T  # column by column, as the masks are
    thinned = torch.zeros_like(matrix)
    thinned[row, column] = matrix[row, column] * kept / 0.6
    assert not torch.equal(thinned, thinned.T)
    found = torch.cat(graph(users, items, layers, pooling="sum", first=first, hops=graph.thinned(kept, 1 / 0.6)))
    expected = dense(thinned, torch.cat([users, items]), layers, first, "sum")
    assert torch.allclose(found, expected, atol=1e-6)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    gradients = [torch.autograd.grad((value * weights).sum(), (users, items)) for value in (found, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_keeping_every_edge_is_the_whole_graph(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if compiled:
        for name in ("WORTH_LOADING", "NARROW"):
            monkeypatch.setattr(f"recsys.graph.sparse_operator.{name}", 0)
    graph, given = SmoothingGraph(EDGES, USERS, ITEMS), [part.detach().float() for part in embeddings()]
    whole = graph(*given, 3)
    thinned = graph(*given, 3, hops=graph.thinned(torch.ones(2 * len(EDGES), dtype=torch.bool)))
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(whole, thinned, strict=True))
