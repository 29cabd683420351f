"""The cosine of texts against loops over users and items."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augrec.artefacts.errors import DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.models.options.text_cosine import TextCosineOptions
from recsys.models.text_cosine import TextCosine
from recsys.seeds import seeded

N_USERS, N_ITEMS = 6, 5


@pytest.fixture(scope="module")
def data() -> Dataset:
    """User 5 has no training item; the other interactions are held out."""
    train = np.array([(0, 0), (0, 1), (1, 1), (1, 2), (1, 4), (2, 3), (3, 0), (4, 2)])
    return Dataset.from_arrays(N_USERS, N_ITEMS, train, np.array([(5, 0)]), np.array([(5, 1), (0, 3)]))


def vectors(rows: int, dim: int, seed: int, missing: tuple[int, ...] = ()) -> FeatureMatrix:
    return FeatureMatrix.from_dense(np.random.default_rng(seed).normal(0.5, 1.0, (rows, dim)), missing)


SIDE = SideInformation(
    user={"profile": vectors(N_USERS, 4, 0, (1,)), "letter": vectors(N_USERS, 4, 1)},
    item={"profile": vectors(N_ITEMS, 4, 2, (4,)), "text": vectors(N_ITEMS, 4, 3), "image": vectors(N_ITEMS, 7, 4)},
)


def scores(data: Dataset, side: SideInformation = SIDE, **options: object) -> np.ndarray:
    model = TextCosine.build(data, side, TextCosineOptions.model_validate(options), seeded(0, "parameters"))
    model.compute(data)
    return model.scores(Queries(torch.arange(N_USERS))).numpy()


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    lengths = np.sqrt((left @ left) * (right @ right))
    return float(left @ right / lengths) if lengths else 0.0


@pytest.mark.parametrize(("named", "read"), [(None, ("profile", "text")), (["profile"], ("profile",))])
def test_it_is_the_mean_cosine_of_profiles_and_item_texts_of_one_length(
    data: Dataset, named: list[str] | None, read: tuple[str, ...]
) -> None:
    expected = np.zeros((N_USERS, N_ITEMS))
    for user in range(N_USERS):
        for item in range(N_ITEMS):
            pairs = [
                cosine(mine.dense()[user].astype(float), SIDE.item[name].dense()[item].astype(float))
                for mine in SIDE.user.values()
                for name in read
            ]
            expected[user, item] = sum(pairs) / len(pairs)
    np.testing.assert_allclose(scores(data, modalities=named), expected, atol=1e-6)


def test_a_history_is_the_mean_of_what_its_training_items_say(data: Dataset) -> None:
    expected = np.zeros((N_USERS, N_ITEMS))
    for matrix in SIDE.item.values():
        rows = [row / max(np.linalg.norm(row), 1e-30) for row in matrix.dense().astype(float)]
        for user in range(N_USERS):
            mine = sum((rows[item] for owner, item in data.train if owner == user), np.zeros(matrix.dim))
            for item in range(N_ITEMS):
                expected[user, item] += cosine(mine, rows[item]) / len(SIDE.item)
    found = scores(data, SideInformation(item=SIDE.item), user="history")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not found[5].any()


def test_what_cannot_be_compared_is_refused(data: Dataset) -> None:
    with pytest.raises(DataError, match="profiles of users, and the data have none") as caught:
        scores(data, SideInformation(item=SIDE.item))
    assert "user: history" in str(caught.value)
    with pytest.raises(DataError, match=r"length 4 with item vectors of length 7 \(image\)"):
        scores(data, modalities=["image"])
    with pytest.raises(DataError, match=r"4 \(text\), 7 \(image\)"):
        scores(data, modalities=["text", "image"])
    mixed = {"profile": SIDE.user["profile"], "letter": vectors(N_USERS, 3, 1)}
    with pytest.raises(DataError, match="differ in length: profile 4, letter 3"):
        scores(data, SideInformation(item=SIDE.item, user=mixed))
