"""Keys looked up in others, against a set."""

from __future__ import annotations

import numpy as np
import pytest

from augrec.artefacts.checked_tables import among


@pytest.mark.parametrize(("keys", "known"), [(40, 30), (0, 5), (5, 0), (0, 0), (300, 300)])
def test_keys_are_among_others_as_in_a_set(keys: int, known: int) -> None:
    rng = np.random.default_rng(keys)
    asked, others = rng.integers(-50, 50, keys), rng.integers(-40, 40, known)
    found = among(asked, others)
    assert found.dtype == bool
    assert found.tolist() == [key in set(others.tolist()) for key in asked.tolist()]
