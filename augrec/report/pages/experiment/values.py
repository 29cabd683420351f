"""What a table holds: one value per row and metric, with its interval, its tests and their correction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from augrec.report.numbers.comparison import Comparison, compare
from augrec.report.numbers.estimates import spread
from augrec.report.numbers.statistics import bootstrap_intervals, decided, holm
from augrec.report.numbers.variants import Trained
from augrec.report.options import ReportOptions
from augrec.report.pages.experiment.options import Table

TESTS = ("p_users", "p_users_randomisation", "p_seeds")


@dataclass(frozen=True)
class Value:
    """One metric of one row. `low` and `high` bound its mean over users, `holm` corrects each test over the table."""

    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    best: bool = False
    paper: float | None = None
    versus: Comparison | None = None
    holm: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One variant in one setting; `problem` says why it has no values, or why seeds are missing."""

    label: str
    group: str
    dataset: str
    setting: str
    variant: str
    model: str
    family: str
    seeds: tuple[int, ...]
    values: dict[str, Value]
    is_baseline: bool = False
    against: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Block:
    """One table on one data set."""

    table: str
    title: str
    dataset: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    alpha: float
    groups: bool
    paper: str | None
    tests: str


@dataclass(frozen=True)
class Point:
    """One value of a sweep and one metric there."""

    value: Any
    variant: str
    values: dict[str, Value]
    problem: str | None


@dataclass(frozen=True)
class Line:
    """A sweep on one data set and setting."""

    sweep: str
    title: str
    option: str
    dataset: str
    setting: str
    metrics: tuple[str, ...]
    points: tuple[Point, ...]


def values_of(
    found: Trained | None,
    baseline: Trained | None,
    metrics: tuple[str, ...],
    options: ReportOptions,
    paper: dict[str, float],
) -> dict[str, Value]:
    """A row's value of each metric; without trainings only what the paper says.

    Args:
        found: the row's trainings.
        baseline: those it is compared with.
        metrics: the columns.
        options: level, resamples and seed of the tests.
        paper: the published figures by metric.
    """
    if found is None:
        return {metric: Value(paper=paper.get(metric)) for metric in metrics}
    versus = compare(found, baseline, list(metrics), options.inference) if baseline is not None else {}
    values = {}
    for metric in metrics:
        seeds = list(found.values(metric).values())
        low, high = _interval(found, metric, options)
        values[metric] = Value(
            mean=float(np.mean(seeds)) if seeds else None,
            std=spread(seeds),
            low=low,
            high=high,
            paper=paper.get(metric),
            versus=versus.get(metric),
        )
    return values


def _interval(found: Trained, metric: str, options: ReportOptions) -> tuple[float | None, float | None]:
    """The bootstrap interval of the metric's mean over users, each user's value being the mean over seeds."""
    per_user = found.per_user.get(metric)
    if per_user is None:
        return None, None
    known = per_user[np.isfinite(per_user)]
    rng = np.random.default_rng(options.seed)
    low, high = bootstrap_intervals(known[:, None], options.bootstrap, options.alpha, rng)
    return (float(low[0]), float(high[0])) if np.isfinite(low[0]) else (None, None)


def corrected(rows: list[Row], metrics: tuple[str, ...]) -> list[Row]:
    """Holm's correction of each test over all the comparisons of the table: its rows times its metrics."""
    keys = [(place, metric) for place, row in enumerate(rows) for metric in metrics if row.values[metric].versus]
    by_key: dict[tuple[int, str], dict[str, float | None]] = {key: {} for key in keys}
    for test in TESTS:
        p_values = [getattr(rows[place].values[metric].versus, test) for place, metric in keys]
        for key, p in zip(keys, holm(p_values), strict=True):
            by_key[key][test] = p
    return [
        replace(
            row,
            values={m: replace(value, holm=by_key.get((place, m), {})) for m, value in row.values.items()},
        )
        for place, row in enumerate(rows)
    ]


def with_best(rows: list[Row], metrics: tuple[str, ...]) -> list[Row]:
    """Marks the highest mean of every column."""
    top = {m: max((v for row in rows if (v := row.values[m].mean) is not None), default=None) for m in metrics}
    return [
        replace(
            row,
            values={
                m: replace(value, best=len(rows) > 1 and value.mean is not None and value.mean == top[m])
                for m, value in row.values.items()
            },
        )
        for row in rows
    ]


def verdict(value: Value, alpha: float) -> int:
    """+1 or -1 where a row is better or worse than the baseline over users and over seeds after correction, else 0.

    Where a test is missing (one seed, or no randomness at all), nothing is marked.
    """
    if value.versus is None:
        return 0
    return decided(value.versus.difference, value.holm.get("p_users"), value.versus.p_seeds, alpha)


def describe_tests(table: Table, rows: int) -> str:
    """Says which tests stand behind a table's marks."""
    baseline = table.labels.get(table.baseline or "", table.baseline)
    against = f"{baseline} in the setting {table.baseline_setting}" if table.baseline_setting else baseline
    if table.against:
        against = "the row it is compared with (named in the table of tests)"
    comparisons = rows * len(table.metrics)
    return (
        f"Mean over seeds ± standard deviation over seeds; bold is the best of its column. ▲ and ▼: better or worse "
        f"than {against} at {table.alpha:g}, both over users (paired t-test on each user's mean over seeds, with "
        f"Holm's correction over the {comparisons} comparisons of this table) and over seeds (paired t-test; what "
        "draws nothing has its one value for every seed of the other, and without this test there is no mark). The "
        "table of tests adds a sign-flip randomisation test over users and a "
        f"{100 * (1 - table.alpha):g} % bootstrap interval over users of the difference ({table.bootstrap} resamples); "
        "the intervals in the plots are of each row's own mean."
    )
