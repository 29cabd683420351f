"""Hyper-parameter search on validation: Optuna's TPE, the same number of trials for every variant, no pruning.

A trial trains its model with the search's own seeds and never evaluates the test split. The models' searches go on side
by side, each with at most one trial at a time, because a proposal rests on all results before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from augrec.artefacts.progress import progress
from augrec.pipeline.host.workers import run_tasks
from augrec.pipeline.stages.base import Run
from augrec.pipeline.studies.experiment.plan import Cell, Plan, searched_models
from augrec.pipeline.studies.search.journal import Found, Study, Trial
from augrec.pipeline.training import Training, train_one


@dataclass(frozen=True)
class Step:
    """One training of a trial, as sent to a worker; `study` and `number` find the trial again."""

    model: str
    training: Training


def search_models(plan: Plan, cell: Cell, run: Run, workers: int) -> tuple[dict[str, Found], int]:
    """Searches every model of a run; finished trials are kept. The models' searches go on side by side.

    Each model is that of one variant (see `compose`), and is given what that is given.

    Returns:
        What was found by model, and how many trials were run for it now.
    """
    assert plan.experiment.search is not None
    results: dict[str, Found] = {}
    studies: dict[str, Study] = {}
    for model in searched_models(plan.experiment.search.models, cell.config, plan.swept()):
        space = plan.spaces.get(cell.config.models[model].family)
        if space is None or not space.space:
            results[model] = Found(model, note="nothing to tune")
            continue
        variant = next(name for name, one in cell.config.variants.items() if one.model == model)
        studies[model] = Study(plan, cell, run, model, variant, space)
    try:
        ran = _run(list(studies.values()), plan.experiment.search.trials, workers)
    finally:
        for study in studies.values():
            study.write(cell.config.training.monitor)
    return results | {model: study.found() for model, study in studies.items()}, ran


def _run(studies: list[Study], trials: int, workers: int) -> int:
    """Runs all trials that are not finished; returns their number."""
    open_trials: dict[str, Trial] = {}
    finished = sum(t.state.is_finished() for study in studies for t in study.trials()[:trials])
    if finished == trials * len(studies):
        return 0
    with progress("search", trials * len(studies), "trials") as ticker:
        ticker.skip(finished)

        def proceed(study: Study) -> Iterator[Step]:
            """The next training of a model: of its open trial, else of a new one."""
            trial = open_trials.get(study.model)
            while trial is None or not trial.waiting:
                trial = study.next()
                if trial is None:
                    return
                open_trials[study.model] = trial
                if not trial.waiting:  # all its trainings were finished when the last search was killed
                    conclude(trial, None)
            yield Step(study.model, trial.waiting[0])

        def conclude(trial: Trial, problem: str | None) -> None:
            trial.study.tell(trial, problem)
            shown = f"{np.mean(trial.values):.4f}" if problem is None else "failed"
            ticker.note(f"{trial.study.model} trial {trial.position + 1}/{trials}: {shown}")
            ticker.advance()

        def done(step: Step, value: float | None, problem: str | None) -> Iterable[Step]:
            trial = open_trials[step.model]
            trial.waiting.pop(0)
            if value is not None:
                trial.values.append(value)
            if problem is not None:
                trial.waiting.clear()
            if not trial.waiting:
                conclude(trial, problem)
            return list(proceed(trial.study))

        first = [step for study in studies for step in proceed(study)]
        if first:
            run_tasks(partial(_train_step, beside_others=workers > 1), first, workers, done)
    return trials * len(studies) - finished


def _train_step(step: Step, beside_others: bool) -> float:
    return train_one(step.training, beside_others)
