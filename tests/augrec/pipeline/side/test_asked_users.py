"""A budget of users: who is chosen, and that nothing which was written about the others reaches a model."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from augrec.pipeline.side.asked_users import asked_users, edges_of, insertions_of, vectors_of
from augrec.pipeline.side.budget import Budget
from recsys.augmentation import Edges, FeatureMatrix, Insertions
from recsys.data.dataset import Dataset

LENGTHS = [3, 1, 0, 2, 1, 5]
EMPTY = np.empty((0, 2), np.int64)


def dataset(held_out: bool = False) -> Dataset:
    train = np.array([(user, item) for user, length in enumerate(LENGTHS) for item in range(length)])
    test = np.array([(1, 7), (1, 8), (2, 7)]) if held_out else EMPTY
    users = pa.table({"user": range(6), "source_id": [f"u{user}" for user in range(6)]})
    return Dataset.from_arrays(6, 9, train, EMPTY, test, users=users)


@pytest.mark.parametrize(("by", "expected"), [("tail", [1, 3, 4]), ("head", [0, 3, 5])])
def test_users_are_chosen_by_training_interactions_alone(by: str, expected: list[int]) -> None:
    for data in (dataset(), dataset(held_out=True), dataset().sealed()):
        assert np.flatnonzero(asked_users(Budget(users=3, by=by), data)).tolist() == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("by", ["tail", "head", "random"])
def test_more_users_add_to_fewer_and_nobody_without_a_history_is_asked(by: str) -> None:
    chosen = [asked_users(Budget(users=number, by=by), dataset()) for number in range(1, 8)]  # type: ignore[arg-type]
    assert [int(users.sum()) for users in chosen] == [1, 2, 3, 4, 5, 5, 5]
    assert all((few <= more).all() for few, more in pairwise(chosen))
    assert not any(users[2] for users in chosen)


def test_nothing_of_the_others_is_left() -> None:
    asked = np.array([True, False, True, False, False, False])
    matrix = vectors_of(FeatureMatrix.from_dense(np.arange(12.0).reshape(6, 2) + 1, missing=[0]), asked)
    assert matrix.mask.tolist() == [False, False, True, False, False, False]
    assert matrix.dense().tolist() == [[0, 0], [0, 0], [5, 6], [0, 0], [0, 0], [0, 0]]
    user = np.array([0, 1, 2, 2])
    edges = edges_of(Edges.from_arrays(user, user + 1, user + 2, np.array([1, 2, 3, 4])), asked)
    assert (edges.user.tolist(), edges.weight.tolist()) == ([0, 2, 2], [1, 3, 4])
    assert insertions_of(Insertions(user, user + 1, user), asked).item.tolist() == [1, 3, 3]
