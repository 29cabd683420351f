"""Runs an experiment: every data set with every setting in turn; a failure stops nothing but its own row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from augrec.artefacts.counts import counted
from augrec.artefacts.files import write_json
from augrec.artefacts.progress import signs_of_life
from augrec.artefacts.study_folder import ExperimentFolder
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.executors.chain import exclusive
from augrec.pipeline.stages.base import Run, Stopwatch
from augrec.pipeline.studies.cells import AFTER_SHARED, SHARED, CellRunner
from augrec.pipeline.studies.execution import Execution
from augrec.pipeline.studies.experiment.outcome import CellOutcome, study_of
from augrec.pipeline.studies.experiment.plan import ExperimentPlan
from augrec.pipeline.studies.memory import workers_that_fit
from augrec.pipeline.studies.plan import Cell, save_as_read
from augrec.pipeline.studies.reuse import runs_below
from augrec.report.study import Failure, SearchResult


def run_experiment(plan: ExperimentPlan, execution: Execution) -> tuple[list[CellOutcome], list[Failure]]:
    """Runs every cell and writes `failures.json`, the tables, plots and pages; returns what happened.

    Can be killed at any moment and called again: stages, trials and trainings that are finished are kept.
    """
    from augrec.report.pages.experiment.page import write_pages

    files = ExperimentFolder(plan.experiment.folder)
    with exclusive(files.root):
        options = {**plan.experiment.model_dump(mode="json"), "base": plan.base}
        save_as_read("experiment", options, files.options)
        outcomes: list[CellOutcome] = []
        for place, cell in enumerate(plan.cells, start=1):
            heading = f"({place}/{len(plan.cells)}) {cell.name}   {cell.folder}"
            execution.say(heading, style="bold")
            others = [*(before.cell.folder for before in outcomes), *runs_below(plan.experiment.reuse)]
            outcomes.append(_run_cell(plan, cell, others, execution))
        failures = [failure for outcome in outcomes for failure in outcome.failures]
        if failures:
            write_json(files.failures, [asdict(failure) for failure in failures])
        else:
            files.failures.unlink(missing_ok=True)
        with signs_of_life("tables and plots"):
            write_pages(study_of(plan, outcomes), plan.experiment.tables)
    return outcomes, failures


def _run_cell(plan: ExperimentPlan, cell: Cell, others: Sequence[Path], execution: Execution) -> CellOutcome:
    steps = [*SHARED, *(name for name in AFTER_SHARED if name != "search" or plan.experiment.search)]
    runner = CellRunner(cell, steps, execution, others=others, keep_going=True)
    searched: list[SearchResult] = []

    def search(run: Run) -> Config:
        return _search(plan, runner, run, searched)

    runner.run(search if plan.experiment.search is not None else None)
    return CellOutcome(cell, runner.config, tuple(searched), tuple(runner.failures))


def _search(plan: ExperimentPlan, runner: CellRunner, run: Run, searched: list[SearchResult]) -> Config:
    """The config with the options chosen; variants of models for which nothing was chosen are left out."""
    from augrec.pipeline.studies.experiment.search import search_models

    assert plan.experiment.search is not None
    watch = Stopwatch()
    runner.say("search", f"running: {counted(plan.experiment.search.trials, 'trial')} per model")
    results, ran = search_models(plan, runner.cell, run, workers_that_fit(run))
    searched += results.values()
    tuned = {model: result.options for model, result in results.items() if result.options}
    config = plan.tuned(runner.cell, tuned)
    lost = {model: result.problem for model, result in results.items() if result.problem}
    for name, variant in config.variants.items():
        if variant.model in lost:
            runner.fail("search", lost[variant.model] or "", name)
    trials = counted(ran, "new trial") if ran else "unchanged"
    runner.say("search", f"done in {watch.seconds():.0f} s   {trials}, options for {counted(len(tuned), 'model')}")
    kept = {name: variant for name, variant in config.variants.items() if variant.model not in lost}
    return config.model_copy(update={"variants": kept})
