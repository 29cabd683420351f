"""The numbers of the report: every seed's values, their summary, and each variant's difference to the baseline."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from augrec.report.numbers.runs import Trained, metric_order
from augrec.report.numbers.statistics import Test, bootstrap_intervals, holm, paired_t, seeds_t, sign_flips
from augrec.report.options import ReportOptions


@dataclass(frozen=True)
class Comparison:
    """The difference of two variants in one metric, and what is known about it."""

    difference: float | None = None
    p_users: float | None = None
    p_users_holm: float | None = None
    p_users_randomisation: float | None = None
    p_seeds: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    n_users: int = 0
    users_reason: str | None = None
    seeds_reason: str | None = None


@dataclass(frozen=True)
class Summary:
    """One variant and metric over its seeds; `std` (ddof=1) is None for a single seed."""

    variant: str
    metric: str
    mean: float | None
    std: float | None
    n_seeds: int
    versus: Comparison


Summaries = dict[tuple[str, str], Summary]


def compare(first: Trained, second: Trained, metrics: list[str], options: ReportOptions) -> dict[str, Comparison]:
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
    words = [options.seed, *_words(first.name), *_words(second.name)]
    rng, signs = np.random.default_rng(words), np.random.default_rng([*words, 1])
    for group in groups.values():
        differences = np.column_stack([pairs[metric][0] - pairs[metric][1] for metric in group])
        low, high = bootstrap_intervals(differences, options.bootstrap, options.alpha, rng)
        intervals.update((metric, (low[i], high[i])) for i, metric in enumerate(group))
        flips.update(zip(group, sign_flips(differences, signs), strict=True))
    return {metric: _comparison(first, second, metric, pairs, intervals, flips) for metric in metrics}


def _comparison(
    first: Trained,
    second: Trained,
    metric: str,
    pairs: dict[str, tuple[np.ndarray, np.ndarray]],
    intervals: dict[str, tuple[float, float]],
    flips: dict[str, Test],
) -> Comparison:
    seeds = _over_seeds(first, second, metric)
    result = Comparison(
        difference=_number(first.mean(metric) - second.mean(metric)),
        p_seeds=seeds.p,
        seeds_reason=seeds.reason,
        users_reason="the metric has no value per user",
    )
    if metric not in pairs:
        return result
    users = paired_t(*pairs[metric])
    return replace(
        result,
        p_users=users.p,
        users_reason=users.reason,
        p_users_randomisation=flips[metric].p,
        ci_low=_number(intervals[metric][0]),
        ci_high=_number(intervals[metric][1]),
        n_users=len(pairs[metric][0]),
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


def summarise(trained: dict[str, Trained], options: ReportOptions) -> Summaries:
    """Mean, spread and comparison to the baseline of every variant and metric, in the order of the variants."""
    metrics = sorted({m for v in trained.values() for run in v.metrics.values() for m in run["test"]}, key=metric_order)
    baseline = trained[options.baseline]
    summaries: Summaries = {}
    for variant in trained.values():
        versus = {} if variant is baseline else compare(variant, baseline, metrics, options)
        for metric in metrics:
            values = list(variant.values(metric).values())
            summaries[variant.name, metric] = Summary(
                variant=variant.name,
                metric=metric,
                mean=_number(variant.mean(metric)),
                std=spread(values),
                n_seeds=len(values),
                versus=versus.get(metric, Comparison()),
            )
    family = [(name, options.primary) for name in trained]
    for key, p in zip(family, holm([summaries[key].versus.p_users for key in family]), strict=True):
        summaries[key] = replace(summaries[key], versus=replace(summaries[key].versus, p_users_holm=p))
    return summaries


def results_json(trained: dict[str, Trained], summaries: Summaries, options: ReportOptions) -> dict[str, Any]:
    """The content of results.json: values at full precision, no timings, NaN as null, in a fixed order."""
    metrics = list(dict.fromkeys(metric for _, metric in summaries))
    rows = [
        {"variant": name, "seed": seed, "metric": metric, "value": variant.values(metric).get(seed)}
        for name, variant in trained.items()
        for seed in variant.metrics
        for metric in metrics
    ]
    return {
        "baseline": options.baseline,
        "primary": options.primary,
        "alpha": options.alpha,
        "tests": describe_tests(trained, options),
        "rows": rows,
        "summary": [_flat(summary) for summary in summaries.values()],
    }


def describe_tests(trained: dict[str, Trained], options: ReportOptions) -> str:
    """Says exactly which tests stand behind the p-values and intervals."""
    return (
        f"All p-values are two-sided and compare a variant with {options.baseline} on the test split. "
        "p_users: paired t-test over users, each user's value being the mean over seeds, users with a value in both "
        "variants. p_users_randomisation: sign-flip randomisation test of the mean difference on the same pairs. "
        f"p_users_holm: p_users of {options.primary} with Holm's correction over the {len(trained) - 1} variants that "
        "are compared; other metrics are not corrected. p_seeds: paired t-test over the seeds both variants share, on "
        "the metric's mean over users; a variant that draws nothing has its one value for every seed of the other. "
        "ci_low and ci_high: percentile bootstrap over users of the mean difference, "
        f"{options.bootstrap} resamples, {100 * (1 - options.alpha):g} %. The tests over users and the intervals hold "
        "for the models as they were trained; only the test over seeds speaks of training again. "
        "null: no test is possible, with the reason beside it."
    )


def _flat(summary: Summary) -> dict[str, Any]:
    flat = asdict(summary)
    return {**{k: v for k, v in flat.items() if k != "versus"}, **flat["versus"]}


def _positions(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, mine, theirs = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    return mine, theirs


def _words(name: str) -> list[int]:
    """A name as integers, so that its random stream does not depend on which other variants there are."""
    return list(hashlib.sha256(name.encode()).digest()[:8])


def spread(values: list[float]) -> float | None:
    """Standard deviation (ddof=1); exactly 0 for equal values, where the rounding of their mean would leave a trace."""
    if len(values) < 2:
        return None
    return 0.0 if min(values) == max(values) else float(np.std(values, ddof=1))


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
