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
from augrec.report.pages.experiment.options import Table
from augrec.report.pages.experiment.paper import Published, published
from augrec.report.pages.experiment.times import Times, times_of
from augrec.report.pages.experiment.values import (
    Block,
    Line,
    Point,
    Row,
    corrected_blocks,
    describe_tests,
    values_of,
    with_best,
)
from augrec.report.study import Study


class Results:
    """Reads what the trainings wrote, each variant once.

    Args:
        study: the runs.
        tables: what is shown of them, by name.
    """

    def __init__(self, study: Study, tables: Mapping[str, Table]) -> None:
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
                *(RunFolder(run.folder), variant, planned.draws or (variant,), list(planned.finished)),
                by_seed=self.metrics,
                reranked=planned.reranked,
            )
        except AugrecError as error:
            return None, f"failed: {error.what}"
        if len(planned.finished) < len(planned.seeds):
            of = f"{len(planned.finished)} of {len(planned.seeds)} seeds"
            return found, f"{of}: {run.why_missing(variant)}"
        return found, None

    def blocks(self) -> list[Block]:
        """Every table on every data set it is for."""
        return corrected_blocks(
            [
                self._block(name, table, dataset)
                for name, table in self.tables.items()
                for dataset in table.datasets or self.study.datasets
            ]
        )

    def _block(self, name: str, table: Table, dataset: str) -> Block:
        settings = table.settings or tuple(self.study.settings)
        swept = self.study.swept()
        first = self.runs[dataset, settings[0]].variants
        variants = table.rows or tuple(variant for variant in first if variant not in swept)
        title = self.study.datasets[dataset].title
        options = ReportOptions(
            baseline=table.baseline or "none",
            primary=table.metrics[0],
            secondary=table.metrics[1:],
            alpha=table.alpha,
            bootstrap=table.bootstrap,
            seed=table.seed,
            equivalence_margin=table.equivalence_margin,
        )
        paper = self._paper(table, dataset)
        rows: list[Row] = []
        for setting in settings:
            printed = self._printed(table, dataset, setting, variants, paper)
            rows += [
                self._row(
                    table, options, dataset, setting, variant, len(settings) > 1, len(variants) > 1, printed[variant]
                )
                for variant in variants
            ]
        if table.groups:
            order = list(dict.fromkeys(row.group for row in rows))
            rows.sort(key=lambda row: order.index(row.group))
        rows = with_best(rows, table.metrics)
        return Block(
            name,
            table.title if len(self.study.datasets) == 1 else f"{table.title}: {title}",
            dataset,
            table.metrics,
            tuple(rows),
            table.alpha,
            table.groups,
            paper.source if paper else None,
            describe_tests(table),
            table.equivalence_margin,
            self._times(dataset, rows) if table.times else (),
        )

    def _times(self, dataset: str, rows: Sequence[Row]) -> tuple[Times, ...]:
        """Of the rows that were trained, in order."""
        found = []
        for row in rows:
            own, _ = self.trained(dataset, row.setting, row.variant)
            other = self.trained(dataset, *row.compared_with)[0] if row.compared_with else None
            if own is not None:
                found.append(times_of(row.label, own, row.against, other))
        return tuple(found)

    def _paper(self, table: Table, dataset: str) -> Published | None:
        data = self.study.datasets[dataset].paper
        return published(data, table.paper) if data and table.paper else None

    def _printed(
        self, table: Table, dataset: str, setting: str, variants: Sequence[str], paper: Published | None
    ) -> dict[str, dict[str, float]]:
        """The published figures of each variant in a setting.

        By name, else by that of the model or the family. The latter is of one row, the first: a control has the model
        of the row that it controls, and the paper says nothing of it.
        """
        rows = paper.rows if paper else {}
        names: dict[str, str] = {}
        for variant in variants:
            told = (table.paper_rows.get(variant), table.paper_rows.get(setting))
            shown = (table.labels.get(variant), self.study.settings[setting].title)
            name = next((name for name in (*told, variant, setting, *shown) if name in rows), None)
            if name is not None:
                names[variant] = name
        for variant in variants:
            planned = self.runs[dataset, setting].variants[variant]
            kind = next((name for name in (planned.model, planned.family) if name in rows), None)
            if variant not in names and kind is not None and kind not in names.values():
                names[variant] = kind
        return {variant: rows[names[variant]] if variant in names else {} for variant in variants}

    def _row(
        self,
        table: Table,
        options: ReportOptions,
        dataset: str,
        setting: str,
        variant: str,
        several_settings: bool,
        several_variants: bool,
        printed: dict[str, float],
    ) -> Row:
        planned = self.runs[dataset, setting].variants[variant]
        model, family = planned.model, planned.family
        found, problem = self.trained(dataset, setting, variant)
        base_setting = table.baseline_setting or setting
        against = table.against.get(variant, table.baseline)
        if (against, base_setting) == (variant, setting):
            against = None
        baseline = self._baseline(dataset, base_setting, setting, against) if against else None
        name = table.labels.get(variant, variant)
        place = self.study.settings[setting].title
        label = f"{place} / {name}" if several_settings and several_variants else place if several_settings else name
        values = values_of(found, baseline, table.metrics, options, printed)
        return Row(
            label,
            planned.group,
            dataset,
            setting,
            variant,
            model,
            family,
            tuple(found.metrics) if found else (),
            values,
            variant in (table.baseline, *table.against.values()) and setting == base_setting,
            self._against(table, base_setting, setting, against) if baseline is not None and against else None,
            (base_setting, against) if baseline is not None and against and found is not None else None,
            problem,
            self.runs[dataset, setting].budget(model) if self.study.searches else None,
        )

    def _against(self, table: Table, base_setting: str, setting: str, variant: str) -> str:
        name = table.labels.get(variant, variant)
        return name if base_setting == setting else f"{self.study.settings[base_setting].title} / {name}"

    def _baseline(self, dataset: str, base_setting: str, setting: str, variant: str) -> Trained | None:
        """The baseline's trainings; None where they failed or are of another split, whose users cannot be paired."""
        if base_setting != setting:
            here, there = (self.runs[dataset, name].data for name in (setting, base_setting))
            if here is None or here != there:
                return None
        return self.trained(dataset, base_setting, variant)[0]

    def lines(self) -> list[Line]:
        """Every sweep on every data set and setting."""
        return [
            Line(
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

    def _point(self, dataset: str, setting: str, value: Any, variant: str, metrics: tuple[str, ...]) -> Point:
        found, problem = self.trained(dataset, setting, variant)
        options = ReportOptions(baseline=variant)
        return Point(value, variant, values_of(found, None, metrics, options, {}), problem)


def results_json(study: Study, blocks: list[Block], lines: list[Line]) -> dict[str, Any]:
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
