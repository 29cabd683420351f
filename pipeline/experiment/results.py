"""The numbers behind an experiment's tables and plots: what every row reached, and how sure its difference is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from artefacts.errors import AugrecError
from pipeline.experiment.compose import swept_variant
from pipeline.experiment.options import Table
from pipeline.experiment.paper import Published, published
from pipeline.experiment.read import Plan
from pipeline.experiment.run import Outcome
from pipeline.report.options import ReportOptions
from pipeline.report.results import Comparison, compare, spread
from pipeline.report.runs import Trained, read_variant
from pipeline.report.statistics import bootstrap_intervals, holm
from pipeline.stages.base import read_marker
from recsys.models.registry import FAMILIES

TESTS = ("p_users", "p_users_wilcoxon", "p_seeds")


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


class Results:
    """Reads what the trainings wrote, each variant once.

    Args:
        plan: the experiment.
        outcomes: what became of its cells.
    """

    def __init__(self, plan: Plan, outcomes: list[Outcome]) -> None:
        self.plan, self.outcomes = plan, outcomes
        self.cells = {(o.cell.dataset, o.cell.setting): o for o in outcomes}
        self._seeds = {key: outcome.finished_seeds() for key, outcome in self.cells.items()}
        self._read: dict[tuple[str, str, str], tuple[Trained | None, str | None]] = {}

    def trained(self, dataset: str, setting: str, variant: str) -> tuple[Trained | None, str | None]:
        """A variant's finished seeds, and the problem where there are none or not all."""
        key = (dataset, setting, variant)
        if key not in self._read:
            self._read[key] = self._read_variant(*key)
        return self._read[key]

    def _read_variant(self, dataset: str, setting: str, variant: str) -> tuple[Trained | None, str | None]:
        outcome = self.cells[dataset, setting]
        seeds = self._seeds[dataset, setting].get(variant) or []
        if not seeds:
            return None, f"failed: {outcome.why_missing(variant)}"
        try:
            found = read_variant(outcome.cell.folder / "train" / variant, variant, seeds)
        except AugrecError as error:
            return None, f"failed: {error.what}"
        if len(seeds) < len(outcome.config.seeds):
            of = f"{len(seeds)} of {len(outcome.config.seeds)} seeds"
            return found, f"{of}: {outcome.why_missing(variant)}"
        return found, None

    def blocks(self) -> list[Block]:
        """Every table on every data set it is for."""
        experiment = self.plan.experiment
        return [
            self._block(name, table, dataset)
            for name, table in experiment.tables.items()
            for dataset in table.datasets or experiment.datasets
        ]

    def _block(self, name: str, table: Table, dataset: str) -> Block:
        settings = table.settings or tuple(self.plan.experiment.settings)
        swept = self.plan.swept()
        first = self.cells[dataset, settings[0]].cell.config.variants
        variants = table.rows or tuple(variant for variant in first if variant not in swept)
        title = self.plan.experiment.datasets[dataset].title or dataset
        options = ReportOptions(
            baseline=table.baseline or "none",
            primary=table.metrics[0],
            secondary=table.metrics[1:],
            alpha=table.alpha,
            bootstrap=table.bootstrap,
            seed=table.seed,
        )
        paper = self._paper(table, dataset)
        rows = [
            self._row(table, options, dataset, setting, variant, len(settings) > 1, len(variants) > 1, paper)
            for setting in settings
            for variant in variants
        ]
        if table.groups:
            order = list(dict.fromkeys(row.group for row in rows))
            rows.sort(key=lambda row: order.index(row.group))
        rows = _best(_corrected(rows, table.metrics), table.metrics)
        return Block(
            name,
            table.title if len(self.plan.experiment.datasets) == 1 else f"{table.title}: {title}",
            dataset,
            table.metrics,
            tuple(rows),
            table.alpha,
            table.groups,
            paper.source if paper else None,
            describe_tests(table, sum(any(v.versus for v in row.values.values()) for row in rows)),
        )

    def _paper(self, table: Table, dataset: str) -> Published | None:
        data = self.plan.experiment.datasets[dataset].paper
        return published(data, table.paper) if data and table.paper else None

    def _row(
        self,
        table: Table,
        options: ReportOptions,
        dataset: str,
        setting: str,
        variant: str,
        several_settings: bool,
        several_variants: bool,
        paper: Published | None,
    ) -> Row:
        config = self.cells[dataset, setting].cell.config
        model = config.variants[variant].model
        family = config.models[model].family
        found, problem = self.trained(dataset, setting, variant)
        base_setting = table.baseline_setting or setting
        against = table.against.get(variant, table.baseline)
        if (against, base_setting) == (variant, setting):
            against = None
        baseline = self._baseline(dataset, base_setting, setting, against) if against else None
        name = table.labels.get(variant, variant)
        told = self.plan.experiment.settings[setting].title or setting
        label = f"{told} / {name}" if several_settings and several_variants else told if several_settings else name
        names = (variant, setting, label, model, family)
        of_paper = table.paper_rows.get(variant) or table.paper_rows.get(setting)
        printed = next(
            (paper.rows[one] for one in (of_paper, *names) if one in paper.rows) if paper else iter(()),  # type: ignore[arg-type]
            {},
        )
        values = _values(found, baseline, table.metrics, options, printed)
        return Row(
            label,
            FAMILIES[family].kind,
            dataset,
            setting,
            variant,
            model,
            family,
            tuple(found.metrics) if found else (),
            values,
            variant in (table.baseline, *table.against.values()) and setting == base_setting,
            self._against(table, base_setting, setting, against) if baseline is not None and against else None,
            problem,
        )

    def _against(self, table: Table, base_setting: str, setting: str, variant: str) -> str:
        name = table.labels.get(variant, variant)
        told = self.plan.experiment.settings[base_setting].title or base_setting
        return name if base_setting == setting else f"{told} / {name}"

    def _baseline(self, dataset: str, base_setting: str, setting: str, variant: str) -> Trained | None:
        """The baseline's trainings; None where they failed or are of another split, whose users cannot be paired."""
        if base_setting != setting:
            here, there = (self.cells[dataset, one].cell.folder / "dataset" for one in (setting, base_setting))
            markers = read_marker(here), read_marker(there)
            if None in markers or markers[0].content != markers[1].content:  # type: ignore[union-attr]
                return None
        return self.trained(dataset, base_setting, variant)[0]

    def lines(self) -> list[Line]:
        """Every sweep on every data set and setting."""
        experiment = self.plan.experiment
        return [
            Line(
                name,
                sweep.title or sweep.option,
                sweep.option,
                dataset,
                setting,
                sweep.metrics,
                tuple(
                    self._point(dataset, setting, value, swept_variant(name, value), sweep.metrics)
                    for value in sweep.values
                ),
            )
            for name, sweep in experiment.sweeps.items()
            for dataset, setting in self.cells
        ]

    def _point(self, dataset: str, setting: str, value: Any, variant: str, metrics: tuple[str, ...]) -> Point:
        found, problem = self.trained(dataset, setting, variant)
        options = ReportOptions(baseline=variant)
        return Point(value, variant, _values(found, None, metrics, options, {}), problem)


def _values(
    found: Trained | None,
    baseline: Trained | None,
    metrics: tuple[str, ...],
    options: ReportOptions,
    paper: dict[str, float],
) -> dict[str, Value]:
    if found is None:
        return {metric: Value(paper=paper.get(metric)) for metric in metrics}
    versus = compare(found, baseline, list(metrics), options) if baseline is not None else {}
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


def _corrected(rows: list[Row], metrics: tuple[str, ...]) -> list[Row]:
    """Holm's correction of each test over all the comparisons of the table: its rows times its metrics."""
    keys = [(place, metric) for place, row in enumerate(rows) for metric in metrics if row.values[metric].versus]
    corrected: dict[tuple[int, str], dict[str, float | None]] = {key: {} for key in keys}
    for test in TESTS:
        p_values = [getattr(rows[place].values[metric].versus, test) for place, metric in keys]
        for key, p in zip(keys, holm(p_values), strict=True):
            corrected[key][test] = p
    return [
        replace(
            row,
            values={m: replace(value, holm=corrected.get((place, m), {})) for m, value in row.values.items()},
        )
        for place, row in enumerate(rows)
    ]


def _best(rows: list[Row], metrics: tuple[str, ...]) -> list[Row]:
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

    Where no test over seeds is possible (one seed, or no randomness at all), the one over users decides.
    """
    if value.versus is None or value.versus.difference is None:
        return 0
    users, seeds = value.holm.get("p_users"), value.versus.p_seeds
    if users is None or users >= alpha or (seeds is not None and seeds >= alpha):
        return 0
    return 1 if value.versus.difference > 0 else -1


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
        f"Holm's correction over the {comparisons} comparisons of this table) and over seeds (paired t-test, where "
        "seeds differ at all). The table of tests adds Wilcoxon's signed-rank test over users and a "
        f"{100 * (1 - table.alpha):g} % bootstrap interval over users of the difference ({table.bootstrap} resamples); "
        "the intervals in the plots are of each row's own mean."
    )


def results_json(results: Results, blocks: list[Block], lines: list[Line]) -> dict[str, Any]:
    """The content of results.json: full precision, nothing that changes from run to run."""
    return {
        "name": results.plan.experiment.name,
        "runs": [
            {
                "dataset": outcome.cell.dataset,
                "setting": outcome.cell.setting,
                "folder": f"{outcome.cell.dataset}/{outcome.cell.setting}",
                "seeds": outcome.config.seeds,
                "search": list(outcome.searched),
            }
            for outcome in results.outcomes
        ],
        "tables": [asdict(block) for block in blocks],
        "sweeps": [asdict(line) for line in lines],
        "failures": [asdict(failure) for outcome in results.outcomes for failure in outcome.failures],
    }
