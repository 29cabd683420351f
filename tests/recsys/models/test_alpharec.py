"""AlphaRec against loops over users, items and layers in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.models.alpharec import AlphaRec
from recsys.models.options.alpharec import AlphaRecOptions
from recsys.seeds import seeded

N_USERS, N_ITEMS, BARE = 7, 9, 8
OPTIONS = AlphaRecOptions(dim=3, hidden=4, layers=2, negatives=5, temperature=0.3)
"""User 6 has no training item, user 5 only the bare item, which has no text."""


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(1)
    train = [(user, item) for user in range(5) for item in range(8) if rng.random() < 0.4 or item == user]
    empty = np.empty((0, 2), dtype=np.int64)
    return Dataset.from_arrays(N_USERS, N_ITEMS, np.array([*train, (5, BARE), (0, BARE)]), empty, empty)


def side() -> SideInformation:
    rng = np.random.default_rng(2)
    text = FeatureMatrix.from_dense(rng.normal(size=(N_ITEMS, 5)), [BARE])
    return SideInformation(
        item={"text": text, "image": FeatureMatrix.from_dense(rng.normal(size=(N_ITEMS, 2)), [BARE])}
    )


def model_of(data: Dataset, options: AlphaRecOptions = OPTIONS) -> AlphaRec:
    return AlphaRec.build(data, side(), options, seeded(0, "parameters"))


def start(model: AlphaRec, vector: np.ndarray) -> np.ndarray:
    """m, one vector at a time; what has no text starts from zeros."""
    if not vector.any():
        return np.zeros(OPTIONS.dim)
    first, _, second = model.network
    hidden = first.weight.detach().numpy().astype(float) @ vector + first.bias.detach().numpy()
    hidden = np.array([value if value > 0 else 0.01 * value for value in hidden])
    return second.weight.detach().numpy().astype(float) @ hidden + second.bias.detach().numpy()


def expected_embeddings(model: AlphaRec, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    vectors = np.concatenate([matrix.dense() for matrix in side().item.values()], axis=1).astype(float)
    owned = [[int(item) for owner, item in data.train if owner == user] for user in range(N_USERS)]
    told = [[item for item in items if item != BARE] for items in owned]
    users = [start(model, vectors[items].mean(axis=0) if items else np.zeros(7)) for items in told]
    layers = [np.array([*users, *(start(model, vectors[item]) for item in range(N_ITEMS))])]
    degree = [len(items) for items in owned]
    degree += [sum(item in items for items in owned) for item in range(N_ITEMS)]
    for _ in range(OPTIONS.layers):
        following = np.zeros_like(layers[-1])
        for user, item in data.train:
            scale = 1 / math.sqrt(degree[user] * degree[N_USERS + item])
            following[user] += scale * layers[-1][N_USERS + item]
            following[N_USERS + item] += scale * layers[-1][user]
        layers.append(following)
    mean = sum(layers) / len(layers)
    unit = np.array([row / max(np.linalg.norm(row), 1e-12) for row in mean])
    return unit[:N_USERS], unit[N_USERS:]


def test_embeddings_are_texts_mapped_and_smoothed(data: Dataset) -> None:
    model = model_of(data)
    with torch.no_grad():
        found = model()
    for part, wanted in zip(found, expected_embeddings(model, data), strict=True):
        np.testing.assert_allclose(part.numpy(), wanted, atol=1e-6)
    assert not found[0][6].any(), "nobody is known of this user"
    assert found[0][5].any(), "the bare item's other buyer is two steps away"


@pytest.mark.parametrize("whole", [True, False], ids=["whole-table", "looked-up"])
def test_the_loss_tells_a_training_item_from_drawn_others(
    data: Dataset, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    model = model_of(data, OPTIONS.model_copy(update={"negatives": 5 if whole else 2}))
    assert (model.options.negatives * OPTIONS.dim >= N_ITEMS) is whole
    drawn = torch.tensor([[0, 3, 3, 8, 1], [2, 2, 5, 6, 7]])[:, : model.options.negatives]
    monkeypatch.setattr(AlphaRec, "negatives", lambda self, user: drawn)
    pairs = torch.tensor([[4, 4], [5, 8]])
    batch = Triplets(pairs[:, 0], pairs[:, 1], torch.tensor([0, 0]), None, 2)
    users, items = expected_embeddings(model, data)
    losses = []
    for (user, positive), negatives in zip(pairs.tolist(), drawn.tolist(), strict=True):
        right, *wrong = (math.exp(users[user] @ items[item] / 0.3) for item in (positive, *negatives))
        losses.append(-math.log(right / (right + sum(wrong))))
    assert model.loss(batch)["info_nce"].item() == pytest.approx(sum(losses) / 2, abs=1e-6)


def test_negatives_are_items_that_the_user_lacks_drawn_alike_from_one_seed(data: Dataset) -> None:
    model = model_of(data, AlphaRecOptions(dim=3, negatives=400))
    owned = {(int(user), int(item)) for user, item in data.train}
    model.draw = torch.Generator().manual_seed(3)
    drawn = model.negatives(torch.arange(6))
    for user, items in enumerate(drawn.tolist()):
        assert set(items) == {item for item in range(N_ITEMS) if (user, item) not in owned}
    model.draw = torch.Generator().manual_seed(3)
    assert torch.equal(model.negatives(torch.arange(6)), drawn)
    assert not torch.equal(model.negatives(torch.arange(6)), drawn), "another step draws others"


def test_processes_with_shares_of_different_sizes_stay_in_step(data: Dataset) -> None:
    first, second = model_of(data), model_of(data)
    first.negatives(torch.arange(3))
    second.negatives(torch.arange(2))
    assert torch.equal(first.draw.get_state(), second.draw.get_state())
