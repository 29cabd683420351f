from __future__ import annotations

import numpy as np
import pytest
import torch

from augrec.artefacts.errors import AugrecError
from recsys.augmentation import SideInformation
from recsys.batches.base import Queries
from recsys.batches.triplets import BprSampler, Triplets
from recsys.data.dataset import Dataset
from recsys.models.ease import Ease
from recsys.models.lightgcn import LightGCN
from recsys.models.mf_bpr import MfBpr
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.popularity import Popularity
from recsys.seeds import seeded

TRAIN = np.array([[0, 0], [0, 1], [1, 1], [1, 2], [2, 0], [2, 3], [3, 1]])
BATCH = Triplets(torch.tensor([0, 1, 0, 3]), torch.tensor([1, 2, 0, 1]), torch.tensor([3, 0, 3, 2]), None, 4)


def lightgcn(layers: int, l2: float = 0.0, l2_kind: str = "squared", edges: np.ndarray = TRAIN) -> LightGCN:
    sizes = int(edges[:, 0].max()) + 1, int(edges[:, 1].max()) + 1
    options = LightGcnOptions.model_validate({"dim": 3, "layers": layers, "l2": l2, "l2_kind": l2_kind})
    return LightGCN(edges, *sizes, options, seeded(0, "p"))


def reference_step(
    p0: np.ndarray, q0: np.ndarray, layers: int, l2: float, l2_kind: str, lr: float
) -> tuple[np.ndarray, float, np.ndarray]:
    """LightGCN written with loops over nodes in float64: embeddings, loss, and parameters after one SGD step.

    The gradient of the BPR loss is taken by hand with respect to the final embeddings; the chain rule through the
    propagation uses that each layer is linear, by propagating unit vectors.
    """
    n_users, n_items = len(p0), len(q0)
    n = n_users + n_items
    neighbours: list[list[int]] = [[] for _ in range(n)]
    for u, i in TRAIN:
        neighbours[u].append(n_users + i)
        neighbours[n_users + i].append(u)

    def propagate(x: np.ndarray) -> np.ndarray:
        total, layer = x.copy(), x
        for _ in range(layers):
            following = np.zeros_like(layer)
            for node in range(n):
                for other in neighbours[node]:
                    following[node] += layer[other] / np.sqrt(len(neighbours[node]) * len(neighbours[other]))
            layer = following
            total += layer
        return total / (layers + 1)

    start = np.concatenate([p0, q0])
    final = propagate(start)
    triplets = [
        (u, n_users + i, n_users + j) for u, i, j in zip(BATCH.user, BATCH.positive, BATCH.negative, strict=True)
    ]
    loss, gradient = 0.0, np.zeros_like(start)
    for u, i, j in triplets:
        margin = final[u] @ (final[i] - final[j])
        loss += np.log1p(np.exp(-margin)) / len(triplets)
        slope = -1 / (1 + np.exp(margin)) / len(triplets)
        gradient[u] += slope * (final[i] - final[j])
        gradient[i] += slope * final[u]
        gradient[j] -= slope * final[u]
    jacobian = propagate(np.eye(n))  # final = jacobian @ start, column by column
    gradient = jacobian.T @ gradient
    for side in range(3):
        norm = np.sqrt(sum((start[t[side]] ** 2).sum() for t in triplets))
        loss += l2 * (norm**2 / 2 if l2_kind == "squared" else norm) / len(triplets)
        for t in triplets:
            gradient[t[side]] += l2 * start[t[side]] / (1 if l2_kind == "squared" else norm) / len(triplets)
    return final, loss, start - lr * gradient


@pytest.mark.parametrize("l2_kind", ["squared", "norm"])
@pytest.mark.parametrize("layers", [0, 1, 3])
def test_lightgcn_equals_a_loop_form_reference_in_float64(layers: int, l2_kind: str) -> None:
    model = lightgcn(layers, 0.3, l2_kind).double()
    start = [table.detach().numpy().copy() for table in (model.user_embedding, model.item_embedding)]
    final, loss, after = reference_step(*start, layers, 0.3, l2_kind, lr=0.7)
    torch.testing.assert_close(torch.cat(model()), torch.from_numpy(final), rtol=1e-6, atol=1e-8)  # float32 graph
    total = sum(model.loss(BATCH).values())
    assert total.item() == pytest.approx(loss, rel=1e-6)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.7)
    total.backward()
    optimiser.step()
    stepped = torch.cat([model.user_embedding, model.item_embedding]).detach().numpy()
    np.testing.assert_allclose(stepped, after, rtol=1e-6, atol=1e-8)


def test_no_layers_is_matrix_factorisation() -> None:
    graph = lightgcn(0, 0.1)
    factors = MfBpr(4, 4, dim=3, l2=0.1, l2_kind="squared", generator=seeded(0, "p"))
    users = torch.arange(4)
    torch.testing.assert_close(graph.scores(Queries(users)), factors.scores(Queries(users)), rtol=0, atol=0)
    for name, term in graph.loss(BATCH).items():
        torch.testing.assert_close(term, factors.loss(BATCH)[name], rtol=0, atol=0)


def test_weights_of_triplets_scale_their_part_of_the_loss() -> None:
    model = lightgcn(1)
    halves = [Triplets(*(part[rows] for part in (BATCH.user, BATCH.positive, BATCH.negative)), None, 2)
              for rows in (slice(0, 2), slice(2, 4))]  # fmt: skip
    weighted = Triplets(BATCH.user, BATCH.positive, BATCH.negative, torch.tensor([3.0, 3.0, 1.0, 1.0]), 2)
    first, second = (model.loss(half)["bpr"].item() for half in halves)
    assert model.loss(weighted)["bpr"].item() == pytest.approx((3 * first + second) / 4, rel=1e-6)


def test_lightgcn_learns_fifty_edges_by_heart() -> None:
    edges = np.stack([np.arange(50), np.random.default_rng(0).permutation(50)], axis=1)
    model = LightGCN(edges, 50, 50, LightGcnOptions(dim=32, layers=1, l2=0.0), seeded(0, "p"))
    sampler = BprSampler(edges, 50, 50, batch_size=50, generator=seeded(0, "s"))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        for batch in sampler.epoch():
            optimiser.zero_grad()
            sum(model.loss(batch).values()).backward()
            optimiser.step()
    model.eval()
    assert model.scores(Queries(torch.from_numpy(edges[:, 0]))).argmax(1).tolist() == edges[:, 1].tolist()


def test_scores_are_propagated_once_per_evaluation_and_never_stale() -> None:
    model = lightgcn(2)
    calls = []
    forward = model.forward
    model.forward = lambda: (calls.append(1), forward())[1]  # type: ignore[method-assign]
    model.eval()
    first = model.scores(Queries(torch.tensor([0])))
    model.scores(Queries(torch.tensor([1])))
    assert len(calls) == 1
    model.load_state_dict({name: 2 * value for name, value in model.state_dict().items()})
    torch.testing.assert_close(model.scores(Queries(torch.tensor([0]))), 4 * first)
    model.train()
    model.scores(Queries(torch.tensor([0])))
    model.scores(Queries(torch.tensor([0])))
    assert len(calls) == 4


def test_ease_solves_each_items_own_ridge_regression(tastes: Dataset) -> None:
    """Column j of EASE is the ridge regression of item j on all other items: solved here one by one."""
    l2 = 3.0
    model = Ease(tastes.train, tastes.n_users, tastes.n_items, l2)
    model.compute(tastes)
    x = np.zeros((tastes.n_users, tastes.n_items))
    for user, item in tastes.train:
        x[user, item] = 1.0
    expected = np.zeros((tastes.n_items, tastes.n_items))
    for item in range(tastes.n_items):
        others = np.delete(np.arange(tastes.n_items), item)
        stacked = np.concatenate([x[:, others], np.sqrt(l2) * np.eye(len(others))])
        target = np.concatenate([x[:, item], np.zeros(len(others))])
        expected[others, item] = np.linalg.lstsq(stacked, target, rcond=None)[0]
    np.testing.assert_allclose(model.weights.numpy(), expected, atol=1e-6)
    users = torch.tensor([7, 0, 59])
    np.testing.assert_allclose(model.scores(Queries(users)).numpy(), x[users.numpy()] @ expected, atol=1e-5)


def test_ease_says_what_a_matrix_that_is_too_large_needs(tastes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(matrix: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("recsys.models.ease.inverted", fails)
    model = Ease(tastes.train, tastes.n_users, tastes.n_items, 3.0)
    with pytest.raises(AugrecError, match="could not invert a 40 x 40 matrix"):
        model.compute(tastes)


def test_popularity_counts_training_interactions_only(tastes: Dataset) -> None:
    model = Popularity.build(tastes, SideInformation(), None, seeded(0, "p"))  # type: ignore[arg-type]
    model.compute(tastes)
    scores = model.scores(Queries(torch.tensor([3, 4])))
    assert scores.shape == (2, 40)
    for item in range(40):
        assert scores[0, item] == scores[1, item] == (tastes.train[:, 1] == item).sum()
