from __future__ import annotations

import numpy as np
import pytest

from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.data.dataset import Dataset

USERS, ITEMS, TEXT = 17, 13, 6


def matrix(rows: int, seed: int, missing: tuple[int, ...] = ()) -> FeatureMatrix:
    return FeatureMatrix.from_dense(np.random.default_rng(seed).normal(size=(rows, TEXT)), missing)


@pytest.fixture
def data() -> Dataset:
    rng = np.random.default_rng(2)
    pairs = np.array([(u, i) for u in range(USERS) for i in rng.choice(ITEMS, 5, replace=False)])
    return Dataset.from_arrays(USERS, ITEMS, pairs, np.zeros((0, 2)), np.zeros((0, 2)))


@pytest.fixture
def side() -> SideInformation:
    """Users 3 and 4 and item 5 have no text; items 7 and 8 have the same."""
    items = matrix(ITEMS, 1).dense().copy()
    items[8] = items[7]
    return SideInformation(
        user={"profile": matrix(USERS, 0, (3, 4))}, item={"text": FeatureMatrix.from_dense(items, (5,))}
    )
