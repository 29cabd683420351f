"""A variant on some of its users, against loops over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from augrec.report.numbers.variants import MeanValues, SomeValues, Trained

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


class Unread(Mapping[str, np.ndarray]):
    """Values that lie in a file which nobody should have to read."""

    def __getitem__(self, metric: str) -> np.ndarray:
        raise AssertionError(metric)

    def __contains__(self, metric: object) -> bool:
        return metric in [*self]

    def __iter__(self) -> Iterator[str]:
        return iter(("recall@20", "ndcg@20"))

    def __len__(self) -> int:
        return 2


@pytest.mark.parametrize("values", [MeanValues([Unread(), Unread()]), SomeValues(Unread(), ["recall@20"])])
def test_which_metrics_there_are_is_known_without_a_value(values: Mapping[str, np.ndarray]) -> None:
    assert "recall@20" in values
    assert "mrr@20" not in values
    with pytest.raises(AssertionError, match="recall@20"):
        values["recall@20"]
