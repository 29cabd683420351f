"""Runs an experiment: every data set with every setting in turn; a failure stops nothing but its own row."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_json, write_json, write_text
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.config import Config, save_config
from augrec.pipeline.executors.chain import exclusive, run_stage
from augrec.pipeline.host.workers import reason
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run, Stopwatch
from augrec.pipeline.stages.train import default_workers, trainings_of
from augrec.pipeline.studies.experiment.plan import Cell, Plan
from augrec.pipeline.studies.experiment.reuse import adopt_stage, adopt_trainings, runs_below
from augrec.pipeline.studies.memory import workers_that_fit

SHARED = ("prepare", "candidates", "augment", "embed")
"""The stages before training, which several settings may have in common."""


@dataclass(frozen=True)
class Failure:
    """Something that did not work out; `variant` and `seed` are None where it concerns a whole stage."""

    dataset: str
    setting: str
    stage: str
    reason: str
    variant: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one cell: the config its trainings ran with, and its failures."""

    cell: Cell
    config: Config
    searched: tuple[dict[str, Any], ...]
    failures: tuple[Failure, ...]

    def finished_seeds(self) -> dict[str, list[int]]:
        """The seeds of each variant whose results on disk are those of this config; none where training never began."""
        seeds: dict[str, list[int]] = {name: [] for name in self.config.variants}
        if any(failure.variant is None and failure.stage not in ("train", "report") for failure in self.failures):
            return seeds
        for training in trainings_of(Run(self.config)):
            if training.finished():
                seeds[training.variant].append(training.seed)
        return seeds

    def why_missing(self, variant: str) -> str:
        """The reason a variant has no results, or lacks a seed; the first line of it."""
        own = [f for f in self.failures if f.variant == variant]
        whole = [f for f in self.failures if f.variant is None and f.stage != "report"]
        for failure in (*own, *whole):
            return failure.reason.splitlines()[0]
        return "it was not trained"


def run_experiment(
    plan: Plan, *, console: Console, force: Iterable[str] = (), download: bool = False
) -> tuple[list[Outcome], list[Failure]]:
    """Runs every cell and writes `failures.json`, the tables, plots and pages; returns what happened.

    Can be killed at any moment and called again: stages, trials and trainings that are finished are kept.

    Args:
        plan: the experiment.
        console: where the lines go.
        force: names of stages to run again from nothing, in every cell.
        download: whether a data set may be fetched from its publisher.
    """
    from augrec.report.pages.experiment.page import write_pages

    folder = plan.experiment.folder
    with exclusive(folder):
        _save(plan, folder / "experiment.yaml")
        outcomes: list[Outcome] = []
        for place, cell in enumerate(plan.cells, start=1):
            heading = f"({place}/{len(plan.cells)}) {cell.name}   {cell.folder}"
            console.print(heading, markup=False, highlight=False, style="bold")
            others = [*(before.cell.folder for before in outcomes), *runs_below(plan.experiment.reuse)]
            outcomes.append(_run_cell(plan, cell, others, set(force), download, console))
        failures = [failure for outcome in outcomes for failure in outcome.failures]
        if failures:
            write_json(folder / "failures.json", [asdict(failure) for failure in failures])
        else:
            (folder / "failures.json").unlink(missing_ok=True)
        write_pages(plan, outcomes)
    return outcomes, failures


class _Stopped(Exception):
    """A stage of this cell failed, so that the ones after it cannot run."""


def _run_cell(plan: Plan, cell: Cell, others: list[Path], force: set[str], download: bool, console: Console) -> Outcome:
    failures: list[Failure] = []
    searched: list[dict[str, Any]] = []
    config = cell.config
    order = [*SHARED, *(["search"] if plan.experiment.search else []), "train", "report"]

    def label(stage: str) -> str:
        return f"[{order.index(stage) + 1}/{len(order)}] {stage:<10}"

    @contextmanager
    def recorded(stage: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            failures.append(Failure(cell.dataset, cell.setting, stage, reason(error)))
            if not isinstance(error, AugrecError):
                write_text(cell.folder / f"{stage}-error.log", traceback.format_exc())
            console.print(f"{label(stage)} failed: {reason(error)}", markup=False, highlight=False)
            raise _Stopped from error

    try:
        with exclusive(cell.folder):
            run = Run(config, download)
            for name in SHARED:
                with recorded(name):
                    source = None if name in force else adopt_stage(STAGES[name], run, others)
                    if source is not None:
                        text = f"{label(name)} copied, the same as in {source}"
                        console.print(text, markup=False, highlight=False)
                        continue
                    run_stage(STAGES[name], run, name in force, label(name), console)
            if plan.experiment.search is not None:
                with recorded("search"):
                    config = _search(plan, cell, run, label("search"), failures, searched, console)
            run = Run(config, download)
            fitting = workers_that_fit(run)
            if fitting < default_workers(config):
                config = config.model_copy(update={"workers": fitting})
                run = Run(config, download)
                text = f"{label('train')} {fitting} at a time, for want of memory"
                console.print(text, markup=False, highlight=False)
            save_config(config, RunFolder(cell.folder).config)
            with recorded("train"):
                _train(cell, run, others, "train" in force, label("train"), failures, console)
            if not failures:
                with recorded("report"):
                    run_stage(STAGES["report"], run, "report" in force, label("report"), console)
    except _Stopped:
        pass
    except AugrecError as error:
        failures.append(Failure(cell.dataset, cell.setting, "start", reason(error)))
        console.print(f"failed: {reason(error)}", markup=False, highlight=False)
    return Outcome(cell, config, tuple(searched), tuple(failures))


def _search(
    plan: Plan,
    cell: Cell,
    run: Run,
    label: str,
    failures: list[Failure],
    searched: list[dict[str, Any]],
    console: Console,
) -> Config:
    """The config with the options found; variants of models for which nothing was found are left out."""
    from augrec.pipeline.studies.search.trials import search_models

    assert plan.experiment.search is not None
    trials, watch = plan.experiment.search.trials, Stopwatch()
    console.print(f"{label} running: {trials} trials per model", markup=False, highlight=False)
    found, ran = search_models(plan, cell, run, workers_that_fit(run))
    searched += [asdict(one) for one in found.values()]
    tuned = {model: one.options for model, one in found.items() if one.options}
    config = plan.tuned(cell, tuned)
    lost = {model: one.problem for model, one in found.items() if one.problem}
    for name, variant in config.variants.items():
        if variant.model in lost:
            text = lost[variant.model] or ""
            failures.append(Failure(cell.dataset, cell.setting, "search", text, variant=name))
    told = f"{ran} new trials" if ran else "unchanged"
    text = f"{label} done in {watch.seconds():.0f} s   {told}, options for {len(tuned)} models"
    console.print(text, markup=False, highlight=False)
    kept = {name: variant for name, variant in config.variants.items() if variant.model not in lost}
    return config.model_copy(update={"variants": kept})


def _train(
    cell: Cell, run: Run, others: list[Path], force: bool, label: str, failures: list[Failure], console: Console
) -> None:
    """The train stage; single trainings that fail are recorded, and the others are kept."""
    copied = 0 if force else adopt_trainings(run, others)
    if copied:
        console.print(f"{label} {copied} trainings copied from runs that share them", markup=False, highlight=False)
    listed = RunFolder(run.folder).failures
    listed.unlink(missing_ok=True)
    try:
        run_stage(STAGES["train"], run, force, label, console)
    except AugrecError as error:
        if not listed.exists():
            raise
        for name, problem in read_json(listed).items():
            variant, _, seed = name.rpartition("/seed-")
            failures.append(Failure(cell.dataset, cell.setting, "train", problem, variant, int(seed)))
        console.print(f"{label} {reason(error)}", markup=False, highlight=False)


def _save(plan: Plan, path: Path) -> None:
    """The experiment as it was read, its base filled in."""
    content = {**plan.experiment.model_dump(mode="json"), "base": plan.base}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    write_text(path, f"# The experiment as it was read; written by augrec, edits are not read.\n{text}")
