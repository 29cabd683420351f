"""Small data sets with structure: users of one taste share items, so that a model has something to find."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.data.dataset import Dataset


@pytest.fixture
def tastes() -> Dataset:
    """60 users x 40 items in two tastes; every user has training, validation and test items."""
    rng = np.random.default_rng(5)
    parts: list[list[tuple[int, int]]] = [[], [], []]
    for user in range(60):
        own = np.arange(20) + 20 * (user % 2)
        items = rng.choice(own, size=12, replace=False)
        for part, chosen in zip(parts, np.split(items, [8, 10]), strict=True):
            part.extend((user, int(item)) for item in chosen)
    return Dataset.from_arrays(60, 40, *(np.array(part) for part in parts))


@pytest.fixture
def six_nodes() -> tuple[np.ndarray, int, int]:
    """Edges, users and items of a graph with an isolated user (2) and an isolated item (2)."""
    return np.array([[0, 0], [0, 1], [1, 1]]), 3, 3
