"""Reads what an experiment's trainings wrote and puts it into tables and lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.run_folder import RunFolder
from augrec.report.numbers.variants import Trained, read_draws
from augrec.report.options import ReportOptions
from augrec.report.pages.experiment.across import across
from augrec.report.pages.experiment.options import TableOptions
from augrec.report.pages.experiment.paper import published
from augrec.report.pages.experiment.times import Times, times_of
from augrec.report.pages.experiment.values import (
    RowValues,
    SweepLine,
    SweepPoint,
    TableValues,
    corrected_blocks,
    describe_tests,
    values_of,
    with_best,
)
from augrec.report.study import Study, StudyRun


class ExperimentResults:
    """Reads what the trainings wrote, each variant once.

    Args:
        study: the runs.
        tables: what is shown of them, by name.
    """

    def __init__(self, study: Study, tables: Mapping[str, TableOptions]) -> None:
        self.study, self.tables = study, tables
        self.runs = {(run.dataset, run.setting): run for run in study.runs}
        shown = [part.metrics for part in tables.values()] + [sweep.metrics for sweep in study.sweeps.values()]
        self.metrics = {metric for metrics in shown for metric in metrics}
        self._read: dict[tuple[str, str, str], tuple[Trained | None, str | None]] = {}

    def trained(self, dataset: str, setting: str, variant: str) -> tuple[Trained | None, str | None]:
        """A variant's finished seeds, and the problem where there are none or not all."""
        key = (dataset, setting, variant)
        if key not in self._read:
            self._read[key] = self._read_variant(*key)
        return self._read[key]

    def _read_variant(self, dataset: str, setting: str, variant: str) -> tuple[Trained | None, str | None]:
        run = self.runs[dataset, setting]
        planned = run.variants[variant]
        if not planned.finished:
            return None, f"failed: {run.why_missing(variant)}"
        try:
            found = read_draws(
                RunFolder(run.folder),
                variant,
                planned.draws or (variant,),
                list(planned.finished),
                by_seed=self.metrics,
                reranked=planned.reranked,
            )
        except AugrecError as error:
            return None, f"failed: {error.what}"
        if len(planned.finished) < len(planned.seeds):
            of = f"{len(planned.finished)} of {len(planned.seeds)} seeds"
            return found, f"{of}: {run.why_missing(variant)}"
        return found, None

    def blocks(self) -> list[TableValues]:
        """Every table on every data set it is for."""
        return corrected_blocks(
            [
                _TableOnData(self, name, table, dataset).values()
                for name, table in self.tables.items()
                for dataset in table.datasets or self.study.datasets
            ]
        )

    def lines(self) -> list[SweepLine]:
        """Every sweep on every data set and setting."""
        return [
            SweepLine(
                name,
                sweep.title,
                sweep.option,
                dataset,
                setting,
                varied,
                sweep.metrics,
                tuple(self._point(dataset, setting, value, variant, sweep.metrics) for value, variant in points),
            )
            for name, sweep in self.study.sweeps.items()
            for dataset, setting in self.runs
            for varied, points in sweep.lines.items()
        ]

    def _point(self, dataset: str, setting: str, value: Any, variant: str, metrics: tuple[str, ...]) -> SweepPoint:
        found, problem = self.trained(dataset, setting, variant)
        options = ReportOptions(baseline=variant)
        return SweepPoint(value, variant, values_of(found, None, metrics, options, {}), problem)


class _TableOnData:
    """One table on one data set: its rows are the variants it names in the settings it names.

    Args:
        results: what the trainings wrote.
        name: of the table.
        table: what it shows.
        dataset: the name of the data set.
    """

    def __init__(self, results: ExperimentResults, name: str, table: TableOptions, dataset: str) -> None:
        self._results, self._study, self._name, self._table = results, results.study, name, table
        self._dataset = dataset
        self._settings = table.settings or tuple(self._study.settings)
        swept = self._study.swept()
        first = self._run(self._settings[0]).variants
        self._variants = table.rows or tuple(variant for variant in first if variant not in swept)
        data = self._study.datasets[dataset].paper
        self._paper = published(data, table.paper) if data and table.paper else None
        self._report = ReportOptions(
            baseline=table.baseline or "none",
            primary=table.metrics[0],
            secondary=table.metrics[1:],
            alpha=table.alpha,
            bootstrap=table.bootstrap,
            seed=table.seed,
            equivalence_margin=table.equivalence_margin,
        )

    def values(self) -> TableValues:
        """The table; its p-values are not corrected yet."""
        table, title = self._table, self._study.datasets[self._dataset].title
        rows = [
            self._row(setting, variant, figures)
            for setting in self._settings
            for variant, figures in self._printed(setting).items()
        ]
        if table.groups:
            order = list(dict.fromkeys(row.group for row in rows))
            rows.sort(key=lambda row: order.index(row.group))
        rows = with_best(rows, table.metrics)
        return TableValues(
            table=self._name,
            title=table.title if len(self._study.datasets) == 1 else f"{table.title}: {title}",
            dataset=self._dataset,
            metrics=table.metrics,
            rows=tuple(rows),
            alpha=table.alpha,
            groups=table.groups,
            paper=self._paper.source if self._paper else None,
            tests=describe_tests(table),
            margin=table.equivalence_margin,
            times=self._times(rows) if table.times else (),
        )

    def _run(self, setting: str) -> StudyRun:
        return self._results.runs[self._dataset, setting]

    def _trained(self, setting: str, variant: str) -> tuple[Trained | None, str | None]:
        return self._results.trained(self._dataset, setting, variant)

    def _times(self, rows: Sequence[RowValues]) -> tuple[Times, ...]:
        """Of the rows that were trained, in order."""
        found = []
        for row in rows:
            own, _ = self._trained(row.setting, row.variant)
            other = self._trained(*row.compared_with)[0] if row.compared_with else None
            if own is not None:
                found.append(times_of(row.label, own, row.against, other))
        return tuple(found)

    def _printed(self, setting: str) -> dict[str, dict[str, float]]:
        """The published figures of each variant in a setting.

        By name, else by that of the model or the family. The latter is of one row, the first: a control has the model
        of the row that it controls, and the paper says nothing of it.
        """
        table, rows = self._table, self._paper.rows if self._paper else {}
        names: dict[str, str] = {}
        for variant in self._variants:
            told = (table.paper_rows.get(variant), table.paper_rows.get(setting))
            shown = (table.labels.get(variant), self._title(setting))
            name = next((name for name in (*told, variant, setting, *shown) if name in rows), None)
            if name is not None:
                names[variant] = name
        for variant in self._variants:
            planned = self._run(setting).variants[variant]
            kind = next((name for name in (planned.model, planned.family) if name in rows), None)
            if variant not in names and kind is not None and kind not in names.values():
                names[variant] = kind
        return {variant: rows[names[variant]] if variant in names else {} for variant in self._variants}

    def _row(self, setting: str, variant: str, figures: dict[str, float]) -> RowValues:
        """A variant in a setting, beside what it is compared with and the published figures of it."""
        table, run = self._table, self._run(setting)
        planned = run.variants[variant]
        found, problem = self._trained(setting, variant)
        other = self._compared_with(setting, variant)
        baseline = self._baseline(setting, *other) if other else None
        return RowValues(
            label=self._label(setting, variant),
            group=planned.group,
            dataset=self._dataset,
            setting=setting,
            variant=variant,
            model=planned.model,
            family=planned.family,
            seeds=tuple(found.metrics) if found else (),
            values=values_of(found, baseline, table.metrics, self._report, figures),
            is_baseline=variant in (table.baseline, *table.against.values())
            and setting == (table.baseline_setting or setting),
            against=self._against(setting, *other) if baseline is not None and other else None,
            compared_with=other if baseline is not None and found is not None else None,
            problem=problem,
            trials=run.budget(planned.model) if self._study.searches else None,
        )

    def _title(self, setting: str) -> str:
        return self._study.settings[setting].title

    def _label(self, setting: str, variant: str) -> str:
        """What tells a row from the others of the table: its setting, its variant, or both."""
        name = self._table.labels.get(variant, variant)
        if len(self._settings) == 1:
            return name
        return f"{self._title(setting)} / {name}" if len(self._variants) > 1 else self._title(setting)

    def _compared_with(self, setting: str, variant: str) -> tuple[str, str] | None:
        """The setting and the variant that a row is compared with; None for a row that is compared with nothing."""
        base_setting = self._table.baseline_setting or setting
        against = self._table.against.get(variant, self._table.baseline)
        return None if not against or (base_setting, against) == (setting, variant) else (base_setting, against)

    def _against(self, setting: str, base_setting: str, variant: str) -> str:
        """What the row that another is compared with is called."""
        name = self._table.labels.get(variant, variant)
        return name if base_setting == setting else f"{self._title(base_setting)} / {name}"

    def _baseline(self, setting: str, base_setting: str, variant: str) -> Trained | None:
        """The baseline's trainings; None where they failed or are of another split, whose users cannot be paired."""
        if base_setting != setting:
            here, there = (self._run(name).data for name in (setting, base_setting))
            if here is None or here != there:
                return None
        return self._trained(base_setting, variant)[0]


def results_json(study: Study, blocks: list[TableValues], lines: list[SweepLine]) -> dict[str, Any]:
    """The content of results.json: full precision, nothing that changes from run to run."""
    return {
        "name": study.name,
        "runs": [
            {
                "dataset": run.dataset,
                "setting": run.setting,
                "folder": f"{run.dataset}/{run.setting}",
                "seeds": list(run.seeds),
                "search": [asdict(result) for result in run.searched],
            }
            for run in study.runs
        ],
        "tables": [{name: value for name, value in asdict(block).items() if name != "times"} for block in blocks],
        "across": [asdict(row) for row in across(blocks)],
        "sweeps": [asdict(line) for line in lines],
        "failures": [asdict(failure) for failure in study.failures],
    }
