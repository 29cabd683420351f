"""L3AE against the regression of each item, solved one by one in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augrec.artefacts.errors import DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.data.dataset import Dataset
from recsys.models.ease import Ease
from recsys.models.l3ae import L3ae
from recsys.models.options.l3ae import L3aeOptions
from recsys.models.registry import FAMILIES
from recsys.seeds import seeded

N_USERS, N_ITEMS, DIM = 12, 9, 4


@pytest.fixture(scope="module")
def data() -> Dataset:
    """User 11 has no training item, nobody bought item 8."""
    rng = np.random.default_rng(3)
    train = [(user, item) for user in range(11) for item in range(8) if rng.random() < 0.45]
    empty = np.empty((0, 2), dtype=np.int64)
    return Dataset.from_arrays(N_USERS, N_ITEMS, np.array(train), empty, empty)


def text(missing: tuple[int, ...] = (), seed: int = 1) -> FeatureMatrix:
    return FeatureMatrix.from_dense(np.random.default_rng(seed).normal(1.0, 1.0, (N_ITEMS, DIM)), missing)


def fitted(data: Dataset, side: SideInformation, **options: object) -> L3ae:
    model = L3ae.build(data, side, L3aeOptions.model_validate(options), seeded(0, "parameters"))
    model.compute(data)
    return model


def unit(matrix: FeatureMatrix, centred: bool) -> np.ndarray:
    rows = matrix.dense().astype(np.float64)
    mean = sum(rows[matrix.mask]) / matrix.mask.sum() if centred else 0.0
    result = np.zeros_like(rows)
    for item in np.flatnonzero(matrix.mask):
        row = rows[item] - mean
        result[item] = row / np.sqrt(row @ row)
    return result


def of_text(gram: np.ndarray, l2: float) -> np.ndarray:
    """C: each item's vector as a sum of the others', a ridge regression apiece."""
    weights = np.zeros((N_ITEMS, N_ITEMS))
    for item in range(N_ITEMS):
        others = [other for other in range(N_ITEMS) if other != item]
        ridge = gram[np.ix_(others, others)] + l2 * np.eye(N_ITEMS - 1)
        weights[others, item] = np.linalg.solve(ridge, gram[others, item])
    return weights


def drawn_to(data: Dataset, towards: np.ndarray, l2: float, pull: float) -> np.ndarray:
    """B: each item's buyers explained by its neighbours, whose weights are `pull` dear where they leave those given."""
    x = np.zeros((N_USERS, N_ITEMS))
    x[tuple(data.train.T)] = 1.0
    weights = np.zeros((N_ITEMS, N_ITEMS))
    for item in range(N_ITEMS):
        others = [other for other in range(N_ITEMS) if other != item]
        left = x[:, others].T @ x[:, others] + l2 * np.eye(N_ITEMS - 1)
        right = x[:, others].T @ x[:, item] + pull * towards[others, item]
        weights[others, item] = np.linalg.solve(left, right)
    return weights


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("l2", "pull"), [(5.0, 2.0), (3.0, 4.5)], ids=["usual", "negative-lambda"])
def test_both_stages_are_the_regressions_of_the_paper(data: Dataset, centred: bool, l2: float, pull: float) -> None:
    matrix = text(missing=(2,))
    model = fitted(data, SideInformation(item={"text": matrix}), l2=l2, pull=pull, text_l2=0.7, centred=centred)
    rows = unit(matrix, centred)
    towards = of_text(rows @ rows.T, 0.7)
    assert not towards[2].any()
    np.testing.assert_allclose(model.weights.numpy(), drawn_to(data, towards, l2, pull), atol=1e-6)


def words() -> FeatureMatrix:
    """A word or two for each item, of many that there are."""
    rng = np.random.default_rng(7)
    rows = np.zeros((N_ITEMS, 40))
    rows[np.repeat(np.arange(N_ITEMS), 2), rng.integers(0, 6, 2 * N_ITEMS)] = rng.uniform(1, 2, 2 * N_ITEMS)
    return FeatureMatrix.from_dense(rows, [3])


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("kind", ["long", "words", "both"])
def test_long_vectors_and_words_are_solved_for_by_their_gram_matrix(data: Dataset, centred: bool, kind: str) -> None:
    long = FeatureMatrix.from_dense(np.random.default_rng(6).normal(1.0, 1.0, (N_ITEMS, 12)), [2])
    chosen = {"long": {"text": long}, "words": {"text": words()}, "both": {"text": words(), "image": text()}}[kind]
    model = fitted(data, SideInformation(item=chosen), l2=5, pull=2, text_l2=0.7, centred=centred)
    assert not model.vectors.shape[1]
    gram = sum(unit(matrix, centred) @ unit(matrix, centred).T for matrix in chosen.values()) / len(chosen)
    np.testing.assert_allclose(model.weights.numpy(), drawn_to(data, of_text(gram, 0.7), 5, 2), atol=1e-6)


def test_activity_divides_the_rows_of_users_with_many_items(data: Dataset) -> None:
    side = SideInformation(item={"text": text()})
    model = fitted(data, side, l2=5, pull=2, text_l2=0.7, activity=0.5)
    x = np.zeros((N_USERS, N_ITEMS))
    x[tuple(data.train.T)] = 1.0
    each = np.maximum(x.sum(axis=1), 1.0) ** -0.5
    each *= x.sum() / (each @ x.sum(axis=1))
    rows = unit(text(), False)
    towards, expected = of_text(rows @ rows.T, 0.7), np.zeros((N_ITEMS, N_ITEMS))
    for item in range(N_ITEMS):
        others = [other for other in range(N_ITEMS) if other != item]
        counted = x[:, others].T * each
        right = counted @ x[:, item] + 2 * towards[others, item]
        expected[others, item] = np.linalg.solve(counted @ x[:, others] + 5 * np.eye(N_ITEMS - 1), right)
    np.testing.assert_allclose(model.weights.numpy(), expected, atol=1e-6)


def test_several_modalities_have_the_mean_of_their_gram_matrices(data: Dataset) -> None:
    both = {"text": text(), "image": text(seed=5)}
    model = fitted(data, SideInformation(item=both), l2=5, pull=2, text_l2=0.7)
    gram = sum(unit(matrix, False) @ unit(matrix, False).T for matrix in both.values()) / 2
    np.testing.assert_allclose(model.weights.numpy(), drawn_to(data, of_text(gram, 0.7), 5, 2), atol=1e-6)


def test_without_a_pull_it_is_ease_and_with_nothing_else_it_is_the_text_alone(data: Dataset) -> None:
    side = SideInformation(item={"text": text()})
    plain = Ease(data.train, N_USERS, N_ITEMS, 5.0)
    plain.compute(data)
    assert torch.equal(fitted(data, side, l2=5, pull=0).weights, plain.weights)
    assert torch.equal(fitted(data, SideInformation(), l2=5, pull=0).weights, plain.weights)
    rows = unit(text(), False)
    alone = fitted(data, side, l2=1e9, pull=1e9, text_l2=0.7)
    np.testing.assert_allclose(alone.weights.numpy(), of_text(rows @ rows.T, 0.7), atol=1e-6)


def test_an_item_that_nobody_bought_is_recommended_for_its_text(data: Dataset) -> None:
    model = fitted(data, SideInformation(item={"text": text()}))
    assert model.weights[:8, 8].all()
    assert not fitted(data, SideInformation(item={"text": text(missing=(8,))})).weights[:, 8].any()


def test_text_is_needed_unless_nothing_pulls(data: Dataset) -> None:
    family = FAMILIES["l3ae"]
    assert family.uses_features(L3aeOptions())
    assert not family.uses_features(L3aeOptions(pull=0))
    with pytest.raises(DataError, match="'l3ae' needs item features"):
        fitted(data, SideInformation())
    short = FeatureMatrix.from_dense(np.ones((8, 3)))
    with pytest.raises(DataError, match="8 rows of features for 9 ids"):
        fitted(data, SideInformation(item={"text": short}))
