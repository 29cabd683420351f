"""How users differ: quantiles and shares, by counting."""

from __future__ import annotations

import numpy as np
import pytest

from augrec.report.numbers.comparison import compare
from augrec.report.numbers.user_spread import SHARES, user_spread
from augrec.report.numbers.variants import Trained
from augrec.report.options import Inference


def trained(name: str, values: np.ndarray) -> Trained:
    test = {"recall@20": float(np.nanmean(values)) if np.isfinite(values).any() else None}
    return Trained(name, {1: {"test": test}}, np.arange(len(values)), {"recall@20": values})


def test_quantiles_and_those_at_zero_are_of_the_users_with_a_value() -> None:
    values = np.array([np.nan, 0.0, 0.0, *np.linspace(0.1, 1.0, 19)])
    found = user_spread(trained("a", values), "recall@20")
    assert found is not None
    assert found.users == 21
    assert found.at_zero == 2 / 21
    ordered = sorted(values[1:].tolist())
    assert found.quantiles == pytest.approx(ordered), "21 users stand exactly at the twentieths"
    assert (found.at(0.0), found.at(0.5), found.at(1.0)) == (ordered[0], ordered[10], ordered[20])
    assert len(found.quantiles) == len(SHARES) == 21


def test_without_values_there_is_no_spread() -> None:
    assert user_spread(trained("a", np.full(4, np.nan)), "recall@20") is None
    assert user_spread(trained("a", np.ones(4)), "coverage@20") is None


def test_users_above_and_below_are_counted() -> None:
    first, second = (
        trained("a", np.array([0.1, 0.2, 0.3, 0.5, np.nan])),
        trained("b", np.array([0.1, 0.3, 0.1, 0.2, 0.9])),
    )
    found = compare(first, second, ["recall@20"], Inference(bootstrap=100))["recall@20"]
    assert (found.share_above, found.share_below) == (2 / 4, 1 / 4)
    assert found.reference == pytest.approx(np.mean([0.1, 0.3, 0.1, 0.2]))
    assert found.relative == pytest.approx((found.difference or 0) / found.reference)
