"""Vectors of training interactions in the place of a text's: what they are made of, and what they keep of the text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from augrec.artefacts.tasks import About
from augrec.pipeline.audit import audit_run
from augrec.pipeline.side import interaction_vectors
from augrec.pipeline.side.interaction_vectors import InteractionVectors, factors, normalised_interactions
from recsys.augmentation import FeatureMatrix
from recsys.data.dataset import Dataset
from tests.augrec.pipeline.audit.hand_made_run import write_run

N_USERS, N_ITEMS = 30, 20
ALONE = 7
"""A user and an item without any training interaction."""
CHECK = "vectors of interactions are made of exactly those of training"


def interactions(seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    owned = rng.random((N_USERS, N_ITEMS)) < 0.3
    owned[np.arange(N_USERS), np.arange(N_USERS) % N_ITEMS] = True
    owned[ALONE], owned[:, ALONE] = False, False
    held_out = np.array([[ALONE, 0], [0, ALONE]])
    return Dataset.from_arrays(N_USERS, N_ITEMS, np.argwhere(owned), held_out[:1], held_out[1:])


def normalised(dataset: Dataset) -> np.ndarray:
    """R by its definition, dense."""
    x = np.zeros((N_USERS, N_ITEMS))
    for user, item in dataset.train:
        x[user, item] = 1.0
    user, item = (np.maximum(x.sum(axis=axis), 1.0) for axis in (1, 0))
    return x / np.sqrt(user[:, None] * item[None, :])


def text(rows: int, dim: int, missing: tuple[int, ...] = ()) -> FeatureMatrix:
    return FeatureMatrix.from_dense(3 * np.random.default_rng(1).standard_normal((rows, dim)), missing)


@pytest.mark.parametrize("width", [1, 4, 19, 20, 50])
def test_factors_are_those_of_a_dense_decomposition(width: int) -> None:
    dataset = interactions()
    dense = normalised(dataset)
    np.testing.assert_allclose(normalised_interactions(dataset).toarray(), dense, atol=1e-12)
    left, values, right = np.linalg.svd(dense, full_matrices=False)
    found, kept = factors(normalised_interactions(dataset), width), min(width, N_ITEMS)
    assert found.user.shape == (N_USERS, kept)
    best = (left[:, :kept] * values[:kept] ** 2) @ left[:, :kept].T
    np.testing.assert_allclose(found.user @ found.user.T, best, atol=1e-8)
    best = (right[:kept].T * values[:kept] ** 2) @ right[:kept]
    np.testing.assert_allclose(found.item @ found.item.T, best, atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(found.item, axis=0), values[:kept], atol=1e-8)


def test_a_sketch_finds_what_a_large_matrix_is_made_of() -> None:
    """More rows and columns than the sketch has: five groups of users and items, and some noise between them."""
    rng = np.random.default_rng(2)
    group = rng.integers(0, 5, 300), rng.integers(0, 5, 200)
    owned = rng.random((300, 200)) < np.where(group[0][:, None] == group[1], 0.5, 0.02)
    none = np.empty((0, 2), dtype=np.int64)
    matrix = normalised_interactions(Dataset.from_arrays(300, 200, np.argwhere(owned), none, none))
    found = factors(matrix, 5)
    np.testing.assert_allclose(
        np.linalg.norm(found.item, axis=0), np.linalg.svd(matrix.toarray(), compute_uv=False)[:5], rtol=1e-4
    )


@pytest.mark.parametrize(("about", "rows"), [("user", N_USERS), ("item", N_ITEMS)])
@pytest.mark.parametrize("width", [6, 64])
def test_vectors_are_as_wide_and_as_long_as_the_texts_and_there_where_both_are(
    about: About, rows: int, width: int
) -> None:
    there = text(rows, width, missing=(2, 3))
    found = InteractionVectors(interactions()).like(there, about)
    assert (found.rows, found.dim) == (rows, width)
    assert np.flatnonzero(~found.mask).tolist() == [2, 3, ALONE]
    mean = np.linalg.norm(there.dense()[there.mask], axis=1).mean()
    np.testing.assert_allclose(np.linalg.norm(found.dense()[found.mask], axis=1), mean, rtol=1e-5)
    assert not found.dense()[:, N_ITEMS:].any()


def test_only_training_interactions_are_in_them_and_only_they_move_them() -> None:
    dataset = interactions()
    none = np.empty((0, 2), dtype=np.int64)
    there = text(N_ITEMS, 8)
    whole = InteractionVectors(dataset).like(there, "item").dense()
    bare = InteractionVectors(replace(dataset, valid=none, test=none)).like(there, "item").dense()
    np.testing.assert_array_equal(whole, bare)
    other = InteractionVectors(replace(dataset, train=dataset.train[1:])).like(there, "item").dense()
    assert not np.allclose(whole, other, atol=1e-3)


def test_nobody_who_has_a_text_is_no_error() -> None:
    assert not InteractionVectors(interactions()).like(text(N_USERS, 4, tuple(range(N_USERS))), "user").mask.any()


def test_the_audit_compares_the_matrix_with_the_training_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run")
    assert CHECK not in {check.name for check in audit_run(run).checks}
    change = {"user_profile": "interactions"}
    (run / "config.yaml").write_text(yaml.safe_dump({"variants": {"bare": {"source": "llm", "change": change}}}))
    (check,) = (check for check in audit_run(run).checks if check.name == CHECK)
    assert (check.rows, check.violations) == (11, ())
    sound = interaction_vectors.normalised_interactions
    monkeypatch.setattr(
        interaction_vectors,
        "normalised_interactions",
        lambda dataset: sound(replace(dataset, train=np.concatenate([dataset.train[1:], dataset.test[:1]]))),
    )
    (check,) = (check for check in audit_run(run).checks if check.name == CHECK)
    assert check.violations == (
        "edge user 0, item 4 is not in train",
        "training pair user 0, item 1 is no edge",
    )
