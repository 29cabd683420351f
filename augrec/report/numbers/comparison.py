"""What sets two variants apart in a metric, how sure that is, and the one rule that calls one of them better.

Every page goes the same way: `compare` each pair that it shows, `corrected` over all of them together, and `verdict` of
each. Holm's correction is over one family per metric and test: all the comparisons in that metric that the page shows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from augrec.artefacts.metrics import Metric
from augrec.report.numbers.statistics import Test, bootstrap_intervals, holm, paired_t, seeds_t, sign_flips
from augrec.report.numbers.variants import Trained
from augrec.report.options import Inference
from augrec.report.render.wording import count, counted

Pair = TypeVar("Pair", bound=Hashable)


@dataclass(frozen=True)
class Comparison:
    """The difference of two variants in one metric, and what is known about it; `holm` is after `corrected`."""

    difference: float | None = None
    p_users: float | None = None
    p_users_holm: float | None = None
    p_users_randomisation: float | None = None
    p_users_randomisation_holm: float | None = None
    p_seeds: float | None = None
    p_seeds_holm: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    n_users: int = 0
    users_reason: str | None = None
    seeds_reason: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What a comparison decides.

    Attributes:
        direction: 1 where the first variant is better by its mean, -1 where it is worse, 0 where neither.
        users: whether the difference is significant over users, after correction; None: no test is possible.
        seeds: the same over seeds, without correction.
    """

    direction: int
    users: bool | None
    seeds: bool | None

    @property
    def sign(self) -> int:
        """1 better, -1 worse: significantly over users *and* over seeds. 0: neither may be said."""
        return self.direction if self.users and self.seeds else 0

    @property
    def users_alone(self) -> bool:
        """Whether the users decide and no test over seeds is possible."""
        return bool(self.users) and self.seeds is None and self.direction != 0


class Tested(Protocol):
    """What a verdict is made from."""

    @property
    def difference(self) -> float | None:
        """The mean difference to the baseline; None where nothing can be compared."""

    @property
    def p_users_holm(self) -> float | None:
        """The p-value over users after Holm's correction; None where there is none."""

    @property
    def p_seeds(self) -> float | None:
        """The p-value over seeds; None where there is none."""


def verdict(comparison: Tested, metric: str, alpha: float) -> Verdict:
    """What a comparison decides at a level, by the direction of its metric."""
    difference = comparison.difference or 0.0
    over = [None if p is None else p < alpha for p in (comparison.p_users_holm, comparison.p_seeds)]
    return Verdict(Metric.parse(metric).sign * int(np.sign(difference)), *over)


def compare(first: Trained, second: Trained, metrics: Sequence[str], inference: Inference) -> dict[str, Comparison]:
    """`first` minus `second` in each metric; the tests over users take each user's mean over seeds.

    Users are those with a value in both. Metrics without per-user values (coverage) are tested over seeds only.
    """
    mine, theirs = _positions(first.users, second.users)
    groups: dict[bytes, list[str]] = {}
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for metric in metrics:
        if metric in first.per_user and metric in second.per_user:
            a, b = first.per_user[metric][mine], second.per_user[metric][theirs]
            valid = np.isfinite(a) & np.isfinite(b)
            pairs[metric] = a[valid], b[valid]
            groups.setdefault(valid.tobytes(), []).append(metric)
    intervals: dict[str, tuple[float, float]] = {}
    flips: dict[str, Test] = {}
    words = [inference.seed, *_words(first.name), *_words(second.name)]
    rng, signs = np.random.default_rng(words), np.random.default_rng([*words, 1])
    for group in groups.values():
        differences = np.column_stack([pairs[metric][0] - pairs[metric][1] for metric in group])
        low, high = bootstrap_intervals(differences, inference.bootstrap, inference.alpha, rng)
        intervals.update((metric, (low[i], high[i])) for i, metric in enumerate(group))
        flips.update(zip(group, sign_flips(differences, signs), strict=True))
    comparisons = {}
    for metric in metrics:
        seeds = _over_seeds(first, second, metric)
        comparison = Comparison(
            difference=number_or_none(first.mean(metric) - second.mean(metric)),
            p_seeds=seeds.p,
            seeds_reason=seeds.reason,
            users_reason="the metric has no value per user",
        )
        if metric in pairs:
            users = paired_t(*pairs[metric])
            comparison = replace(
                comparison,
                p_users=users.p,
                users_reason=users.reason,
                p_users_randomisation=flips[metric].p,
                ci_low=number_or_none(intervals[metric][0]),
                ci_high=number_or_none(intervals[metric][1]),
                n_users=len(pairs[metric][0]),
            )
        comparisons[metric] = comparison
    return comparisons


def corrected(comparisons: Mapping[Pair, Mapping[str, Comparison]]) -> dict[Pair, dict[str, Comparison]]:
    """Holm's correction of the comparisons of a page: one family for each metric and test, over all pairs.

    Args:
        comparisons: what the page shows, pair -> metric -> comparison; a pair that it shows twice is in it once.
    """
    result = {pair: dict(of_pair) for pair, of_pair in comparisons.items()}
    for metric in dict.fromkeys(metric for of_pair in comparisons.values() for metric in of_pair):
        pairs = [pair for pair, of_pair in comparisons.items() if metric in of_pair]
        for test in ("p_users", "p_users_randomisation", "p_seeds"):
            p_values = holm([getattr(comparisons[pair][metric], test) for pair in pairs])
            for pair, p in zip(pairs, p_values, strict=True):
                changes: dict[str, Any] = {f"{test}_holm": p}
                result[pair][metric] = replace(result[pair][metric], **changes)
    return result


def family_sizes(comparisons: Mapping[Pair, Mapping[str, Comparison]]) -> dict[str, int]:
    """metric -> how many of the comparisons have a test over users."""
    sizes: dict[str, int] = {}
    for of_pair in comparisons.values():
        for metric, comparison in of_pair.items():
            sizes[metric] = sizes.get(metric, 0) + (comparison.p_users is not None)
    return sizes


def describe_family(sizes: Mapping[str, int]) -> str:
    """One sentence for the page: what its p-values are corrected over. Nothing where it can test nothing.

    Args:
        sizes: metric -> comparisons on the page that have a test over users.
    """
    tested = {metric: size for metric, size in sizes.items() if size}
    if not tested:
        return ""
    if len(tested) == 1:
        metric, size = next(iter(tested.items()))
        over = f"{counted(size, 'comparison')} in {metric}"
        return f"Holm's correction over users is over one family: the {over} that this page shows and can test."
    named = ", ".join(f"{metric} {count(size)}" for metric, size in tested.items())
    return (
        "Holm's correction over users is over one family per metric: all comparisons in it that this page shows and "
        f"can test ({named})."
    )


def _over_seeds(first: Trained, second: Trained, metric: str) -> Test:
    """The test over seeds. What draws nothing has one value for every seed, however many it was trained with."""
    mine, theirs = first.values(metric), second.values(metric)
    if first.deterministic and second.deterministic:
        return Test(None, "neither draws anything, so training again repeats the difference exactly")
    if first.deterministic:
        mine = {seed: value for seed in theirs for value in list(mine.values())[:1]}
    elif second.deterministic:
        theirs = {seed: value for seed in mine for value in list(theirs.values())[:1]}
    return seeds_t(mine, theirs)


def _positions(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, mine, theirs = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    return mine, theirs


def _words(name: str) -> list[int]:
    """A name as integers, so that its random stream does not depend on which other variants there are."""
    return list(hashlib.sha256(name.encode()).digest()[:8])


def number_or_none(value: float) -> float | None:
    """The number, or None for one that is not finite."""
    return float(value) if math.isfinite(value) else None
