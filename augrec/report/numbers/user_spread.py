"""How a metric is spread over users: its mean alone does not say whether everybody has a little, or few have all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augrec.report.numbers.variants import Trained

SHARES = tuple(n / 20 for n in range(21))
"""The shares of users at which quantiles are taken: 0, 5 % ... 100 %."""


@dataclass(frozen=True)
class UserSpread:
    """One metric of one variant over its test users, each user's value being the mean over seeds.

    Attributes:
        quantiles: at `SHARES`, the lowest value first.
        at_zero: the share of users whose value is exactly zero: of recall, those who got nothing right.
        users: how many have a value.
    """

    quantiles: tuple[float, ...]
    at_zero: float
    users: int

    def at(self, share: float) -> float:
        """The quantile at one of `SHARES`."""
        return self.quantiles[SHARES.index(share)]


def user_spread(trained: Trained, metric: str) -> UserSpread | None:
    """The spread; None where no user has a value."""
    values = trained.per_user.get(metric)
    known = np.zeros(0) if values is None else values[np.isfinite(values)]
    if not len(known):
        return None
    quantiles = np.quantile(known, SHARES)
    return UserSpread(tuple(float(value) for value in quantiles), float((known == 0).mean()), len(known))
