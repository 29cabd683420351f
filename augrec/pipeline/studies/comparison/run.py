"""Runs a comparison: imports, one run with a tuning before its trainings, then everything that is measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from augrec.artefacts.counts import counted
from augrec.artefacts.progress import signs_of_life
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.study_folder import ComparisonFolder
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.executors.chain import exclusive
from augrec.pipeline.stages.base import Run, Stopwatch
from augrec.pipeline.studies.cells import AFTER_SHARED, SHARED, CellRunner
from augrec.pipeline.studies.comparison.plan import ComparisonPlan
from augrec.pipeline.studies.comparison.published import import_published
from augrec.pipeline.studies.comparison.tuning import tune
from augrec.pipeline.studies.execution import Execution
from augrec.pipeline.studies.memory import workers_that_fit
from augrec.pipeline.studies.plan import save_as_read
from augrec.pipeline.studies.search.subject import Values
from augrec.report.measures.downstream import Tuning

STEPS = ("import", *SHARED, *AFTER_SHARED, "compare")


def run_compare(plan: ComparisonPlan, execution: Execution) -> Path:
    """Runs what is not finished of a comparison; returns its page. Can be killed at any moment and called again."""
    from augrec.pipeline.studies.comparison.measure import write_comparison

    watch = Stopwatch()
    tuned: dict[str, Tuning] = {}

    def search(run: Run) -> Config:
        timer = Stopwatch()
        tunings, ran = tune(plan, workers_that_fit(run))
        tuned.update(tunings)
        trials = f"{counted(ran, 'trial')} of" if ran else "unchanged,"
        runner.say("search", f"done in {timer.seconds():.0f} s   {trials} {counted(len(tunings), 'variant')}")
        return plan.tuned(plan.cell, _chosen(plan, tunings))

    runner = CellRunner(plan.cell, STEPS, execution)
    RunFolder(plan.folder).check_layout()
    with exclusive(plan.folder):
        options = {**plan.compare.model_dump(mode="json"), "base": plan.base, "change": {}}
        save_as_read("comparison", options, ComparisonFolder(plan.folder).options)
        _import(plan, runner)
        runner.run(search)
        timer = Stopwatch()
        with signs_of_life("compare"):
            page = write_comparison(plan, execution.run(runner.config), tuned, watch.seconds())
        runner.say("compare", f"done in {timer.seconds():.0f} s   compare.json, compare.md, {page.name}")
    return page


def _chosen(plan: ComparisonPlan, tunings: Mapping[str, Tuning]) -> dict[str, Values]:
    """Options by model, which is called like its variant."""
    return {
        variant: {plan.compare.recommenders[recommender].scale: tunings[variant].scale}
        for variant, _, recommender in plan.tuned_variants()
    }


def _import(plan: ComparisonPlan, runner: CellRunner) -> None:
    for name, release in plan.compare.published.items():
        timer = Stopwatch()
        imported = import_published(
            name, release, plan.place_of(release), ComparisonFolder(plan.folder).published(name)
        )
        counts = imported.get("counts") or {}
        ok = sum(count for key, count in counts.items() if key.endswith("_ok"))
        runner.say("import", f"done in {timer.seconds():.0f} s   {name}: {counted(ok, 'record')}")
