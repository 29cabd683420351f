from __future__ import annotations

import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from recsys.augmentation import Edges, FeatureMatrix, Insertions, SideInformation


def test_equal_rows_are_stored_once_in_order_of_appearance() -> None:
    matrix = FeatureMatrix.from_dense(np.array([[1, 2], [3, 4], [1, 2], [5, 6], [3, 4]], dtype=np.float64))
    assert matrix.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert matrix.index.tolist() == [0, 1, 0, 2, 1]
    assert (matrix.rows, matrix.dim) == (5, 2)


def test_missing_rows_are_zero_whatever_they_held() -> None:
    array = np.arange(8, dtype=np.float32).reshape(4, 2)
    array[2] = np.nan
    matrix = FeatureMatrix.from_dense(array, missing=[2])
    assert matrix.mask.tolist() == [True, True, False, True]
    assert matrix.dense().tolist() == [[0, 1], [2, 3], [0, 0], [6, 7]]
    assert np.isnan(array[2]).all(), "the caller's array is not changed"


def test_a_stray_nan_names_its_row() -> None:
    with pytest.raises(DataError, match="row 1"):
        FeatureMatrix.from_dense(np.array([[0.0], [np.inf], [1.0]]))
    with pytest.raises(DataError, match="outside the 2 rows"):
        FeatureMatrix.from_dense(np.zeros((2, 1)), missing=[2])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (([0, 1], [0], [1]), "one length"),
        (([0], [-1], [1]), "negative id"),
        (([0], [1], [2], [-0.5]), "weight"),
        (([0], [1], [2], [np.nan]), "weight"),
    ],
)
def test_malformed_edges_are_refused(arrays: tuple, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Edges.from_arrays(*(np.array(part) for part in arrays))


def test_features_of_another_data_set_are_refused_by_name() -> None:
    three = FeatureMatrix.from_dense(np.eye(3))
    SideInformation(user={"profile": three}).check(3, 5)
    with pytest.raises(DataError, match=r"3 rows of features for 5 ids\n  where:  attributes.genres"):
        SideInformation(attributes={"genres": three}).check(3, 5)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.array([0, 1]), np.array([0]), np.array([1])), "one length"),
        ((np.array([0]), np.array([-1]), np.array([1])), "negative"),
        ((np.array([0]), np.array([1]), np.array([-1])), "negative"),
        ((np.array([0.0]), np.array([1]), np.array([1])), "int64"),
    ],
)
def test_malformed_insertions_are_refused(arrays: tuple[np.ndarray, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Insertions(*arrays)


def test_insertions_are_rows_of_known_users_and_items() -> None:
    insertions = Insertions.from_rows(np.array([[0, 4, 1], [2, 3, 0]], dtype=np.int32))
    assert (insertions.user.tolist(), insertions.item.tolist(), insertions.position.tolist()) == (
        [0, 2],
        [4, 3],
        [1, 0],
    )
    assert len(Insertions.from_rows(np.zeros((0, 3)))) == 0
    SideInformation(insertions=insertions).check(3, 5)
    with pytest.raises(DataError, match="user beyond the 2"):
        SideInformation(insertions=insertions).check(2, 5)
    with pytest.raises(DataError, match="item beyond the 4"):
        SideInformation(insertions=insertions).check(3, 4)
