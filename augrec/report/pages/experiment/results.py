"""Reads what an experiment's trainings wrote and puts it into tables and lines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.stages.base import read_marker
from augrec.pipeline.studies.experiment.compose import swept_variant
from augrec.pipeline.studies.experiment.options import Table
from augrec.pipeline.studies.experiment.outcome import Outcome
from augrec.pipeline.studies.experiment.plan import ExperimentPlan
from augrec.report.numbers.variants import Trained, read_variant
from augrec.report.options import ReportOptions
from augrec.report.pages.experiment.paper import Published, published
from augrec.report.pages.experiment.values import (
    Block,
    Line,
    Point,
    Row,
    corrected,
    describe_tests,
    values_of,
    with_best,
)
from recsys.models.registry import FAMILIES


class Results:
    """Reads what the trainings wrote, each variant once.

    Args:
        plan: the experiment.
        outcomes: what became of its cells.
    """

    def __init__(self, plan: ExperimentPlan, outcomes: list[Outcome]) -> None:
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
            found = read_variant(RunFolder(outcome.cell.folder), variant, seeds)
        except AugrecError as error:
            return None, f"failed: {error.what}"
        wanted = outcome.config.seeds_of(variant)
        if len(seeds) < len(wanted):
            of = f"{len(seeds)} of {len(wanted)} seeds"
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
        rows = with_best(corrected(rows, table.metrics), table.metrics)
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
        values = values_of(found, baseline, table.metrics, options, printed)
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
        return Point(value, variant, values_of(found, None, metrics, options, {}), problem)


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
                "search": [asdict(result) for result in outcome.searched],
            }
            for outcome in results.outcomes
        ],
        "tables": [asdict(block) for block in blocks],
        "sweeps": [asdict(line) for line in lines],
        "failures": [asdict(failure) for outcome in results.outcomes for failure in outcome.failures],
    }
