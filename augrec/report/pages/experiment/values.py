"""What a table holds: one value per row and metric, with its interval, its tests and their correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from augrec.artefacts.metrics import Metric
from augrec.report.numbers.comparison import CORRECTED, Comparison, Comparisons, corrected, simultaneous
from augrec.report.numbers.estimates import Estimates
from augrec.report.numbers.resampling import Resampling
from augrec.report.numbers.user_spread import UserSpread, user_spread
from augrec.report.numbers.variants import Trained
from augrec.report.numbers.verdicts import verdict
from augrec.report.options import ReportOptions
from augrec.report.pages.experiment.options import TableOptions
from augrec.report.pages.experiment.times import Times
from augrec.report.render.wording import per_cent


@dataclass(frozen=True)
class Value:
    """One metric of one row. `low` and `high` bound its mean over users and seeds; `versus` is after correction."""

    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    best: bool = False
    paper: float | None = None
    versus: Comparison | None = None
    users: UserSpread | None = None


@dataclass(frozen=True)
class RowValues:
    """One variant in one setting; `problem` says why it has no values, or why seeds are missing.

    `against` is what the row it is compared with is called in this table, `compared_with` its setting and variant.
    `trials` is how many of a search chose its model's options; None where the experiment searches nothing.
    """

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
    compared_with: tuple[str, str] | None = None
    problem: str | None = None
    trials: int | None = None


@dataclass(frozen=True)
class TableValues:
    """One table on one data set."""

    table: str
    title: str
    dataset: str
    metrics: tuple[str, ...]
    rows: tuple[RowValues, ...]
    alpha: float
    groups: bool
    paper: str | None
    tests: str
    margin: float = 0.02
    times: tuple[Times, ...] = ()
    """What the rows cost, where the table asks for it."""


@dataclass(frozen=True)
class SweepPoint:
    """One value of a sweep and one metric there."""

    value: Any
    variant: str
    values: dict[str, Value]
    problem: str | None


@dataclass(frozen=True)
class SweepLine:
    """One variant's model with each value of a sweep, on one data set and setting."""

    sweep: str
    title: str
    option: str
    dataset: str
    setting: str
    variant: str
    metrics: tuple[str, ...]
    points: tuple[SweepPoint, ...]

    @property
    def run(self) -> str:
        """Its data set and setting."""
        return f"{self.dataset}, {self.setting}"


def labels_of(lines: Sequence[SweepLine]) -> list[str]:
    """What tells the lines of a sweep apart: run, variant, or both."""
    runs, variants = ({getattr(line, name) for line in lines} for name in ("run", "variant"))
    if len(variants) == 1:
        return [line.run for line in lines]
    return [line.variant if len(runs) == 1 else f"{line.run}, {line.variant}" for line in lines]


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
    drawn = Resampling(options.inference)
    comparisons, estimates = Comparisons[str](drawn), Estimates(drawn)
    for metric in metrics:
        estimates.add(metric, found, metric)
        if baseline is not None:
            comparisons.add("both", found, baseline, metric)
    versus = comparisons.of("both") if baseline is not None else {}
    values = {}
    for metric in metrics:
        measured = estimates.of(metric)
        values[metric] = Value(
            mean=measured.mean,
            std=measured.std,
            low=measured.low,
            high=measured.high,
            paper=paper.get(metric),
            versus=versus.get(metric),
            users=user_spread(found, metric),
        )
    return values


Pair = tuple[str, str, str, str, str]
"""A data set, a setting and variant of it, and the setting and variant that these are compared with."""


def comparisons_of(blocks: Sequence[TableValues]) -> dict[Pair, dict[str, Comparison]]:
    """Every comparison that the page shows, once, though several tables may show it."""
    pairs: dict[Pair, dict[str, Comparison]] = {}
    for block in blocks:
        for row in block.rows:
            if row.compared_with is not None:
                of_pair = pairs.setdefault((row.dataset, row.setting, row.variant, *row.compared_with), {})
                for metric, value in row.values.items():
                    if value.versus is not None:
                        of_pair.setdefault(metric, value.versus)
    return pairs


def corrected_blocks(blocks: Sequence[TableValues]) -> list[TableValues]:
    """Holm's correction over all comparisons of the page, one family per metric and test."""
    pairs = corrected(comparisons_of(blocks))

    def row_of(row: RowValues) -> RowValues:
        if row.compared_with is None:
            return row
        of_pair = pairs[(row.dataset, row.setting, row.variant, *row.compared_with)]
        values = {
            metric: value if value.versus is None else replace(value, versus=_with_holm(value.versus, of_pair[metric]))
            for metric, value in row.values.items()
        }
        return replace(row, values=values)

    return [replace(block, rows=tuple(map(row_of, block.rows))) for block in blocks]


def _with_holm(comparison: Comparison, adjusted: Comparison) -> Comparison:
    changes: dict[str, Any] = {f"{test}_holm": getattr(adjusted, f"{test}_holm") for test in CORRECTED}
    return simultaneous(replace(comparison, **changes), adjusted.family_size or 1)


def with_best(rows: list[RowValues], metrics: tuple[str, ...]) -> list[RowValues]:
    """Marks the best mean of every column, by the direction of its metric."""
    means = {m: [mean for row in rows if (mean := row.values[m].mean) is not None] for m in metrics}
    best = {m: Metric.parse(m).best(values) for m, values in means.items()}
    return [
        replace(
            row,
            values={m: replace(value, best=len(rows) > 1 and value.mean == best[m]) for m, value in row.values.items()},
        )
        for row in rows
    ]


def mark_of(value: Value, metric: str, alpha: float) -> str:
    """The verdict on a row beside what it is compared with; nothing where it is compared with nothing."""
    return "" if value.versus is None else verdict(value.versus, metric, alpha).word


def describe_tests(table: TableOptions) -> str:
    """Says which tests stand behind a table's marks."""
    baseline = table.labels.get(table.baseline or "", table.baseline)
    against = f"{baseline} in the setting {table.baseline_setting}" if table.baseline_setting else baseline
    if table.against:
        against = "the row it is compared with (named in the table of tests)"
    return (
        "Mean over seeds ± standard deviation over seeds; bold is the best of its column. ▲, ▼ and ≈: better than, "
        f"worse than and equivalent to {against} at {per_cent(table.alpha)}, both over users (t-tests on each user's "
        "mean over seeds, with Holm's correction over all comparisons in the metric that is shown) and over seeds "
        "(t-tests; what draws nothing has its one value for every seed of the other, and two such are judged by the "
        "users alone). "
        f"Equivalent: closer than {per_cent(table.equivalence_margin)} of its mean. =: identical, every user has "
        "the same value with every seed, and nothing is tested. Without a sign: undecided. The "
        "table of tests has the size of every difference, its simultaneous interval over users and seeds "
        f"({per_cent(1 - table.alpha)}, {table.bootstrap} resamples), what could be detected, and a sign-flip "
        "randomisation test; the intervals in the plots are of each row's own mean."
    )
