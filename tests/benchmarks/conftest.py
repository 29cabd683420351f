"""What tests of benchmarks share."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.data.dataset import Dataset


@pytest.fixture
def two_tastes() -> Dataset:
    """20 users x 12 items; a user's items are all of one half."""
    rng = np.random.default_rng(0)
    rows = [(user, int(item)) for user in range(20) for item in rng.permutation(6) + 6 * (user % 2)]
    parts = np.array(rows).reshape(20, 6, 2)
    return Dataset.from_arrays(20, 12, *(parts[:, part].reshape(-1, 2) for part in (slice(4), [4], [5])))
