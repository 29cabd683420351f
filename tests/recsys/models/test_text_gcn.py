"""The graph model with text against loops over users, items and layers in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from augrec.artefacts.errors import DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.models.options.text_gcn import TextGcnOptions
from recsys.models.parts.cosines import is_sparse
from recsys.models.registry import FAMILIES
from recsys.models.text_gcn import TextGcn
from recsys.seeds import seeded

N_USERS, N_ITEMS, DIM, LAYERS, TEMPERATURE = 6, 8, 4, 2, 0.3
OPTIONS = TextGcnOptions(dim=DIM, layers=LAYERS, temperature=TEMPERATURE)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """User 5 has no training item."""
    rng = np.random.default_rng(1)
    train = [(user, item) for user in range(5) for item in range(N_ITEMS) if rng.random() < 0.4 or item == user]
    empty = np.empty((0, 2), dtype=np.int64)
    return Dataset.from_arrays(N_USERS, N_ITEMS, np.array(train), empty, empty)


def words(rows: int, seed: int, missing: tuple[int, ...] = ()) -> FeatureMatrix:
    """Two of forty words each."""
    rng = np.random.default_rng(seed)
    matrix = np.zeros((rows, 40))
    for row in range(rows):
        matrix[row, rng.choice(40, 2, replace=False)] = rng.random(2)
    return FeatureMatrix.from_dense(matrix, missing)


def vectors(rows: int, seed: int, missing: tuple[int, ...] = ()) -> FeatureMatrix:
    return FeatureMatrix.from_dense(np.random.default_rng(seed).normal(1.0, 1.0, (rows, 5)), missing)


def side() -> SideInformation:
    return SideInformation(
        user={"profile": vectors(N_USERS, 3, (2,))},
        item={"text": words(N_ITEMS, 4, (1,)), "image": vectors(N_ITEMS, 5, (1, 7))},
    )


def model_of(data: Dataset, options: TextGcnOptions = OPTIONS, given: SideInformation | None = None) -> TextGcn:
    return TextGcn.build(data, given or side(), options, seeded(0, "parameters"))


def start(embedding: torch.Tensor, text: dict[str, FeatureMatrix], weights: torch.nn.ModuleDict) -> np.ndarray:
    """E_0 of users or items, one at a time."""
    rows = embedding.detach().double().numpy().copy()
    for name, matrix in text.items():
        dense, projection = matrix.dense().astype(float), weights[name].weight.detach().double().numpy()
        mean = dense[matrix.mask].mean(axis=0)
        for row in np.flatnonzero(matrix.mask):
            vector = dense[row] if is_sparse(matrix) else (dense[row] - mean) / np.linalg.norm(dense[row] - mean)
            rows[row] += vector @ projection
    return rows


def expected_embeddings(model: TextGcn, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    given = side()
    first = [
        start(model.user_embedding, dict(given.user), model.user_text),
        start(model.item_embedding, dict(given.item), model.item_text),
    ]
    layers = [np.concatenate(first)]
    degree = np.bincount(np.concatenate([data.train[:, 0], N_USERS + data.train[:, 1]]), minlength=N_USERS + N_ITEMS)
    for _ in range(LAYERS):
        following = np.zeros_like(layers[-1])
        for user, item in data.train:
            scale = 1 / math.sqrt(degree[user] * degree[N_USERS + item])
            following[user] += scale * layers[-1][N_USERS + item]
            following[N_USERS + item] += scale * layers[-1][user]
        layers.append(following)
    mean = sum(layers) / len(layers)
    unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return unit[:N_USERS], unit[N_USERS:]


def test_embeddings_are_ids_and_text_smoothed_over_the_graph(data: Dataset) -> None:
    model = model_of(data)
    assert is_sparse(side().item["text"])
    assert not is_sparse(side().item["image"])
    with torch.no_grad():
        found = model()
    for part, wanted in zip(found, expected_embeddings(model, data), strict=True):
        np.testing.assert_allclose(part.numpy(), wanted, atol=1e-6)


def test_the_loss_tells_a_pairs_item_from_the_distinct_items_of_the_batch(data: Dataset) -> None:
    model = model_of(data)
    pairs = torch.tensor([[0, 0], [1, 1], [2, 0], [3, 3]])
    users, items = expected_embeddings(model, data)
    losses = []
    for user, item in pairs.tolist():
        powers = {other: math.exp(users[user] @ items[other] / TEMPERATURE) for other in (0, 1, 3)}
        losses.append(-math.log(powers[item] / sum(powers.values())))
    batch = Triplets(pairs[:, 0], pairs[:, 1], torch.zeros(4, dtype=torch.int64), None, 4)
    assert model.loss(batch)["softmax"].item() == pytest.approx(sum(losses) / 4, abs=1e-6)
    weighed = Triplets(batch.user, batch.positive, batch.negative, torch.tensor([1.0, 0.0, 0.5, 0.0]), 4)
    assert model.loss(weighed)["softmax"].item() == pytest.approx((losses[0] + losses[2] / 2) / 4, abs=1e-6)


def test_words_get_the_gradient_that_they_have_as_a_dense_matrix(data: Dataset) -> None:
    model = model_of(data, given=SideInformation(item={"text": words(N_ITEMS, 4)}))
    projection = model.item_text["text"]
    incoming = torch.randn(N_ITEMS, DIM, generator=torch.Generator().manual_seed(0))
    projection().backward(incoming)
    dense = torch.from_numpy(words(N_ITEMS, 4).dense())
    torch.testing.assert_close(projection.weight.grad, dense.T @ incoming)


def test_without_text_nothing_is_read_and_with_it_items_are_needed(data: Dataset) -> None:
    assert not FAMILIES["text_gcn"].uses_features(TextGcnOptions(text=False))
    plain = model_of(data, OPTIONS.model_copy(update={"text": False}))
    assert [name for name, _ in plain.named_parameters()] == ["user_embedding", "item_embedding"]
    with pytest.raises(DataError, match="'text_gcn' needs item features"):
        model_of(data, given=SideInformation(user={"profile": vectors(N_USERS, 3)}))
