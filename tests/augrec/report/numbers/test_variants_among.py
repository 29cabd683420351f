"""A variant on some of its users, against loops over them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from augrec.report.numbers.variants import Trained

USERS = np.array([2, 3, 5, 7, 11])
BY_SEED = {
    1: {"recall@20": np.array([0.1, 0.2, math.nan, 0.4, 0.5])},
    2: {"recall@20": np.array([0.3, 0.0, math.nan, 0.2, 0.9])},
}
WHOLE = Trained(
    "v",
    {seed: {"test": {"recall@20": 9.0}, "deterministic": seed == 1} for seed in BY_SEED},
    USERS,
    {"recall@20": np.mean([table["recall@20"] for table in BY_SEED.values()], axis=0)},
    BY_SEED,
)


@pytest.mark.parametrize("chosen", [[2, 5, 11], [3], [2, 3, 5, 7, 11], [1, 4, 7]])
def test_metrics_are_means_over_the_chosen_users(chosen: list[int]) -> None:
    part = WHOLE.among(np.array(chosen))
    mine = [user for user in USERS.tolist() if user in chosen]
    assert part.users.tolist() == mine
    for seed, table in BY_SEED.items():
        values = [
            value for user, value in zip(USERS.tolist(), table["recall@20"].tolist(), strict=True) if user in mine
        ]
        known = [value for value in values if not math.isnan(value)]
        assert part.values("recall@20")[seed] == pytest.approx(sum(known) / len(known))
    assert not part.deterministic


def test_users_without_a_value_have_no_mean() -> None:
    part = WHOLE.among(np.array([5]))
    assert part.values("recall@20") == {}
    assert math.isnan(part.mean("recall@20"))
