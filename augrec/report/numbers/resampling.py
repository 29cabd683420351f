"""Everything that a page resamples, resampled at once: tables over as many users share their resamples and signs.

A resample of 100,000 users takes longer to draw than to use, so that a page of hundreds of comparisons draws once. What
comes of a table does not depend on which others there are: the random numbers follow from the seed and from how many
users, seeds and draws it has.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from augrec.report.numbers.intervals import Intervals, TableMeans, intervals_of
from augrec.report.numbers.statistics import Test, sign_flips
from augrec.report.options import Inference


@dataclass(frozen=True)
class Resampled:
    """What came of a table: its interval, and where it holds differences, the sign-flip test over users."""

    interval: Intervals
    flips: Test | None


class Resampling:
    """Tables that wait for their resamples.

    Args:
        inference: level, resamples, sign flips and seed.
    """

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self._waiting: dict[Hashable, tuple[TableMeans, bool]] = {}
        self._done: dict[Hashable, Resampled] = {}

    def add(self, key: Hashable, values: np.ndarray, *, differences: bool) -> None:
        """Adds a table.

        Args:
            key: what it is asked for by, its own.
            values: shape [D draws, S seeds, U users], finite.
            differences: whether it holds differences, which signs are flipped of.
        """
        self._waiting[key] = TableMeans.of(values[..., None]), differences

    def of(self, key: Hashable) -> Resampled:
        """What came of a table; the first that is asked for has all that wait resampled.

        Raises:
            KeyError: it was never added.
        """
        if key not in self._done:
            # Those of few users first: theirs are let go before what many users need comes on top of all that wait.
            for users in sorted({len(means.by_user) for means, _ in self._waiting.values()}):
                alike = [key for key, (means, _) in self._waiting.items() if len(means.by_user) == users]
                self._resample({key: self._waiting.pop(key) for key in alike})
        return self._done[key]

    def _resample(self, tables: dict[Hashable, tuple[TableMeans, bool]]) -> None:
        """Tables over as many users."""
        asked = self.inference
        of_users = [means for means, _ in tables.values()]
        ends = intervals_of(of_users, asked.bootstrap, asked.alpha, np.random.default_rng(asked.seed))
        flipped = [key for key, (_, differences) in tables.items() if differences]
        tests: dict[Hashable, Test] = {}
        if flipped:
            columns = np.concatenate([tables[key][0].by_user for key in flipped], axis=1)
            found = sign_flips(columns, np.random.default_rng([asked.seed, 1]), asked.flips)
            tests = dict(zip(flipped, found, strict=True))
        for key, interval in zip(tables, ends, strict=True):
            self._done[key] = Resampled(interval, tests.get(key))
