"""What tests of RLMRec's backbones share: a small graph, its dense matrix, and the losses in loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.draws import Draws
from recsys.models.build import build_model
from recsys.models.parts.graph_recommender import GraphRecommender
from recsys.models.registry import FAMILIES
from recsys.seeds import seeded

USERS, ITEMS, DIM = 6, 5, 3
EDGES = np.array([(u, i) for u in range(USERS - 1) for i in range(ITEMS) if (u + 2 * i) % 5 < 2])
"""The last user has none."""
BATCH = Triplets(torch.tensor([0, 1, 1, 4]), torch.tensor([0, 2, 2, 3]), torch.tensor([4, 1, 4, 4]), None, 4)
NODES = torch.stack([BATCH.user, USERS + BATCH.positive, USERS + BATCH.negative])


def data() -> Dataset:
    return Dataset.from_arrays(USERS, ITEMS, EDGES, np.zeros((0, 2)), np.zeros((0, 2)))


def side() -> SideInformation:
    rng = np.random.default_rng(0)
    users, items = (FeatureMatrix.from_dense(rng.normal(size=(rows, 4))) for rows in (USERS, ITEMS))
    return SideInformation(user={"profile": users}, item={"text": items})


def build(family: str, **options: Any) -> GraphRecommender:
    """In float64, with its graph as stored: rounded to float32 once."""
    given = FAMILIES[family].options.model_validate({"dim": DIM, **options})
    model = build_model(data(), side(), given, seeded(0, "parameters")).double()
    assert isinstance(model, GraphRecommender)
    return model


def dense_graph(*, loops: bool = False) -> Tensor:
    matrix = np.eye(USERS + ITEMS) if loops else np.zeros((USERS + ITEMS, USERS + ITEMS))
    for user, item in EDGES:
        matrix[user, USERS + item] = matrix[USERS + item, user] = 1
    degree = np.maximum(matrix.sum(1), 1)
    return torch.from_numpy((matrix / np.sqrt(np.outer(degree, degree))).astype(np.float32)).double()


def table(model: GraphRecommender) -> Tensor:
    return torch.cat([model.user_embedding, model.item_embedding])


def thinned(kept: Tensor, scale: float) -> Tensor:
    """Entry by entry, in the order in which they are drawn."""
    matrix, draws = dense_graph(), iter(kept.tolist())
    for column in range(USERS + ITEMS):
        for row in range(USERS + ITEMS):
            if matrix[row, column]:
                matrix[row, column] *= scale * next(draws)
    return matrix


def replayed(model: GraphRecommender, seed: int = 5) -> Draws:
    """Gives the model a source of draws, and the test another with the same."""
    model.draw = Draws(torch.Generator().manual_seed(seed))
    return Draws(torch.Generator().manual_seed(seed))


def bpr(e: Tensor) -> Tensor:
    u, p, n = (e[nodes] for nodes in NODES)
    return torch.stack([(1 + (u[k] @ n[k] - u[k] @ p[k]).exp()).log() for k in range(len(BATCH))]).mean()


def contrast(first: Tensor, second: Tensor, temperature: float, *, negatives: bool) -> Tensor:
    """Row by row, candidate by candidate."""
    first, second = (rows / (rows.square().sum(1, keepdim=True) + 1e-8).sqrt() for rows in (first, second))
    total = torch.zeros((), dtype=torch.float64)
    for nodes, candidates in (
        (NODES[0], range(USERS)),
        (NODES[1], range(USERS, USERS + ITEMS)),
        (NODES[2], range(USERS, USERS + ITEMS) if negatives else None),
    ):
        for node in nodes.tolist() if candidates is not None else ():
            powers = [(first[node] @ second[other] / temperature).exp() for other in candidates or ()]
            total = total + torch.stack(powers).sum().log() - first[node] @ second[node] / temperature
    return total / len(BATCH)


def batch_l2(model: GraphRecommender) -> Tensor:
    return table(model)[NODES].square().sum() / 2 / len(BATCH)


def assert_same(model: GraphRecommender, expected: dict[str, Tensor]) -> None:
    """The model's terms on `BATCH` and the gradients of its tables."""
    parameters = [model.user_embedding, model.item_embedding]
    found = model.loss(BATCH)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=1e-6), name
    gradients = [
        torch.autograd.grad(torch.stack(list(terms.values())).sum(), parameters) for terms in (found, expected)
    ]
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-9)
