"""What LATTICE and MICRO have in common, written out: loops over pairs, float64, sharing no code with the models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys.augmentation import FeatureMatrix
from recsys.batches.triplets import Triplets
from recsys.models.options.item_graph import ItemGraphOptions

USERS, ITEMS = 7, 11
EDGES = np.array([(0, 1), (0, 2), (1, 2), (2, 0), (2, 3), (2, 4), (3, 5), (4, 1), (4, 6), (5, 2), (5, 7), (1, 9)])
BATCH = [(0, 1, 5), (1, 2, 0), (2, 3, 7), (3, 5, 1), (4, 6, 8), (5, 7, 3), (2, 0, 6), (0, 2, 8)]
WEIGHTS = [1.0, 1.0, 0.5, 1.0, 2.0, 1.0, 1.0, 0.25]
MISSING = {"text": [3, 8], "image": [8]}


def raw(names: tuple[str, ...] = ("text", "image"), seed: int = 0) -> dict[str, np.ndarray]:
    """float32 vectors by modality; rows of NaN where there is none."""
    rng = np.random.default_rng(seed)
    found = {}
    for position, name in enumerate(names):
        array = rng.normal(size=(ITEMS, 6 - position)).astype(np.float32)
        array[MISSING[name]] = np.nan
        found[name] = array
    return found


def matrices(arrays: dict[str, np.ndarray]) -> dict[str, FeatureMatrix]:
    """The same as the models take them."""
    return {name: FeatureMatrix.from_dense(array, MISSING[name]) for name, array in arrays.items()}


def triplets() -> Triplets:
    """A batch with weights."""
    user, positive, negative = torch.tensor(BATCH).unbind(1)
    return Triplets(user, positive, negative, torch.tensor(WEIGHTS, dtype=torch.float64), 6)


class Reference:
    """The parts of both models for given parameters, by name."""

    def __init__(self, parameters: dict[str, Tensor], options: ItemGraphOptions, arrays: dict[str, np.ndarray]) -> None:
        self.p, self.o = parameters, options
        self.arrays = {name: torch.tensor(array.astype(np.float64)) for name, array in arrays.items()}

    def cosine_graph(self, vectors: list[Tensor | None]) -> list[list[Any]]:
        """Cosines of each item's nearest ones, 0 elsewhere; [items][items]."""
        graph: list[list[Any]] = [[0.0] * ITEMS for _ in range(ITEMS)]
        for i, own in enumerate(vectors):
            if own is None:
                continue
            cosine = {}
            for j, other in enumerate(vectors):
                if other is not None and (j != i or self.o.include_self):
                    cosine[j] = (own * other).sum() / ((own * own).sum().sqrt() * (other * other).sum().sqrt())
            for j in sorted(cosine, key=lambda j: -float(cosine[j].detach()))[: self.o.neighbours]:
                graph[i][j] = cosine[j] if cosine[j] > 0 else 0.0
        return graph

    @staticmethod
    def normalised(graph: list[list[Any]], degrees: list[Any] | None = None) -> list[list[Any]]:
        degrees = [sum(row) for row in graph] if degrees is None else degrees
        return [
            [
                graph[i][j] / (degrees[i] * degrees[j]) ** 0.5
                if isinstance(graph[i][j], Tensor) and graph[i][j].item()
                else 0.0
                for j in range(ITEMS)
            ]
            for i in range(ITEMS)
        ]

    def raw_vectors(self, name: str) -> list[Tensor | None]:
        return [None if row.isnan().any() else row for row in self.arrays[name]]

    def projected(self, name: str) -> list[Tensor | None]:
        weight, bias = self.p[f"layers.{name}.weight"], self.p[f"layers.{name}.bias"]
        rows = self.raw_vectors(name)
        if self.o.learn_features:
            rows = [None if row is None else self.p[f"raw.{name}"][i] for i, row in enumerate(rows)]
        return [None if row is None else weight @ row + bias for row in rows]

    @staticmethod
    def step(graph: list[list[Any]], h: list[Tensor]) -> list[Tensor]:
        return [sum((graph[i][j] * h[j] for j in range(ITEMS)), torch.zeros_like(h[0])) for i in range(ITEMS)]

    def backbone(self) -> tuple[list[Tensor], list[Tensor]]:
        """LightGCN's embeddings on either graph."""
        users, items = list(self.p["user_embedding"]), list(self.p["item_embedding"])
        all_users, all_items = [users], [items]
        own = self.o.graph == "row-mean"
        d_user = [sum(1 for v, _ in EDGES if v == u) for u in range(USERS)]
        d_item = [sum(1 for _, j in EDGES if j == i) for i in range(ITEMS)]
        for _ in range(self.o.layers):
            new_users = [x / (d_user[u] + 1) if own else 0 * x for u, x in enumerate(users)]
            new_items = [x / (d_item[i] + 1) if own else 0 * x for i, x in enumerate(items)]
            for u, i in EDGES.tolist():
                both = math.sqrt(d_user[u] * d_item[i])
                new_users[u] = new_users[u] + items[i] / (d_user[u] + 1 if own else both)
                new_items[i] = new_items[i] + users[u] / (d_item[i] + 1 if own else both)
            users, items = new_users, new_items
            all_users.append(users)
            all_items.append(items)
        count = self.o.layers + 1
        return [sum(x) / count for x in zip(*all_users, strict=True)], [
            sum(x) / count for x in zip(*all_items, strict=True)
        ]

    def embeddings(self, smoothed: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        users, items = self.backbone()
        for i, h in enumerate(smoothed):
            if h.abs().sum() > 0:
                items[i] = items[i] + h / (h * h).sum().sqrt()
        return users, items

    def ranking(self, users: list[Tensor], items: list[Tensor]) -> dict[str, Tensor]:
        bpr, l2 = torch.zeros(()).double(), torch.zeros(()).double()
        for (u, i, j), weight in zip(BATCH, WEIGHTS, strict=True):
            x = users[u] @ items[i] - users[u] @ items[j]
            bpr = bpr + weight * torch.log(1 + torch.exp(-x))
            l2 = l2 + (users[u] @ users[u] + items[i] @ items[i] + items[j] @ items[j]) / 2
        return {"bpr": bpr / sum(WEIGHTS), "l2": self.o.l2 * l2 / len(BATCH)}


def parameters_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of a model's parameters that carry gradients."""
    return {name: value.detach().clone().requires_grad_() for name, value in model.named_parameters()}


def agree(model: Any, reference: Any, terms: tuple[str, ...]) -> None:
    """Forward, each term, and the parameters after a gradient step are the reference's; graphs are float32."""
    users, items = model()
    by_hand = reference.forward()
    for got, expected in zip((users, items), by_hand, strict=True):
        assert torch.allclose(got, torch.stack(expected), rtol=0, atol=1e-6)
    model.train()
    got_terms, expected_terms = model.loss(triplets()), reference.loss()
    assert tuple(got_terms) == terms
    for name in terms:
        assert torch.allclose(got_terms[name], expected_terms[name], rtol=1e-6, atol=0), name
    sum(got_terms.values()).backward()
    sum(expected_terms.values()).backward()
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    optimiser.step()
    for name, value in model.named_parameters():
        expected = reference.p[name] - reference.p[name].grad
        assert reference.p[name].grad.abs().sum() > 0, name
        assert torch.allclose(value, expected, rtol=0, atol=1e-6), name
