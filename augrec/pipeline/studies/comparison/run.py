"""Runs a comparison: imports, shared stages, tuning, trainings, then everything that is measured of them."""

from __future__ import annotations

from pathlib import Path

import yaml
from rich.console import Console

from augrec.artefacts.files import write_text
from augrec.pipeline.config import save_config
from augrec.pipeline.executors.chain import exclusive, run_stage
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run, Stopwatch
from augrec.pipeline.studies.comparison.plan import Plan
from augrec.pipeline.studies.comparison.published import import_published
from augrec.pipeline.studies.comparison.tune import tune
from augrec.pipeline.studies.memory import workers_that_fit

SHARED = ("prepare", "candidates", "augment", "embed")
STEPS = ("import", *SHARED, "tune", "train", "report", "compare")


def run_compare(plan: Plan, *, console: Console, force: list[str] | None = None, download: bool = False) -> Path:
    """Runs what is not finished of a comparison; returns its page. Can be killed at any moment and called again.

    Args:
        plan: the comparison.
        console: where the lines go.
        force: names of stages to run again from nothing.
        download: whether the data set may be fetched from its publisher.
    """
    from augrec.pipeline.studies.comparison.measure import write_comparison

    forced, watch = set(force or ()), Stopwatch()
    with exclusive(plan.folder):
        _save(plan)
        _import(plan, console)
        run = Run(plan.config(), download)
        for name in SHARED:
            run_stage(STAGES[name], run, name in forced, _label(name), console)
        workers = min(workers_that_fit(run), run.config.workers or workers_that_fit(run))
        timer = Stopwatch()
        found, ran = tune(plan, workers)
        told = f"{ran} trials of {len(found)} variants" if ran else f"unchanged, {len(found)} variants"
        _say(console, "tune", f"done in {timer.seconds():.0f} s   {told}")
        config = plan.config({name: one.scale for name, one in found.items() if one.scale is not None})
        config = config.model_copy(update={"workers": config.workers or workers})
        run = Run(config, download)
        save_config(config, run.folder / "config.yaml")
        for name in ("train", "report"):
            run_stage(STAGES[name], run, name in forced, _label(name), console)
        timer = Stopwatch()
        page = write_comparison(plan, run, found, watch.seconds())
        _say(console, "compare", f"done in {timer.seconds():.0f} s   compare.json, compare.md, {page.name}")
    return page


def _import(plan: Plan, console: Console) -> None:
    for name, published in plan.compare.published.items():
        timer = Stopwatch()
        imported = import_published(name, published, plan.release(published), plan.folder / "published" / name)
        counts = imported.get("counts") or {}
        ok = sum(count for key, count in counts.items() if key.endswith("_ok"))
        _say(console, "import", f"done in {timer.seconds():.0f} s   {name}: {ok:,} records")


def _label(step: str) -> str:
    return f"[{STEPS.index(step) + 1}/{len(STEPS)}] {step:<10}"


def _say(console: Console, step: str, text: str) -> None:
    console.print(f"{_label(step)} {text}", markup=False, highlight=False)


def _save(plan: Plan) -> None:
    """The comparison as it was read, its base filled in."""
    content = {**plan.compare.model_dump(mode="json"), "base": plan.base, "change": {}}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    write_text(
        plan.folder / "compare.yaml", f"# The comparison as it was read; written by augrec, edits are not read.\n{text}"
    )
