"""Hyper-parameter search on validation: Optuna's TPE, the same number of trials for every model, no pruning.

A trial trains its model with the search's own seeds and never evaluates the test split. Every model has a journal that
is written as trials begin and end, so a killed search goes on; each trial's sampler is seeded by its number, so the
search that was killed proposes what an uninterrupted one would have proposed.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from artefacts.errors import AugrecError
from artefacts.files import digest, write_json, write_text
from artefacts.progress import progress
from pipeline.experiment.options import Search
from pipeline.experiment.read import Cell, Plan, searched_models
from pipeline.experiment.spaces import Space
from pipeline.stages.base import Run
from pipeline.stages.train import Training, train_one, trainings_of
from pipeline.workers import KILLED, run_tasks


@dataclass
class Found:
    """What a search found for one model: the options of its best trial, or why there is none."""

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    value: float | None = None
    trials: int = 0
    failed: int = 0
    problem: str | None = None
    note: str | None = None


@dataclass
class Trial:
    """One trial on its way: what is being trained, one training per search seed."""

    study: Study
    number: int
    position: int
    waiting: list[Training]
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """One training of a trial, as sent to a worker; `study` and `number` find the trial again."""

    model: str
    training: Training


class Study:
    """The trials of one model in one run.

    Args:
        plan, cell: the experiment and the run.
        run: the run, its stages before `train` finished.
        model, variant: what is searched, and the variant whose features and edges it is given.
        space: of the model's family.
    """

    def __init__(self, plan: Plan, cell: Cell, run: Run, model: str, variant: str, space: Space) -> None:
        assert plan.experiment.search is not None
        self.plan, self.cell, self.run, self.model, self.variant = plan, cell, run, model, variant
        self.search: Search = plan.experiment.search
        self.distributions = {name: spec.distribution() for name, spec in space.space.items()}
        self.folder = run.folder / "search" / model
        given = trainings_of(Run(_only(cell.config.model_copy(update={"seeds": self.search.seeds}), variant)))
        identity = [given[0].fingerprint, space.model_dump(mode="json"), self.search.seed, self.search.seeds]
        self.given_up: set[int] = set()
        self.study = _open(self.folder / "journal.log", digest(identity)[:16])
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state == TrialState.RUNNING and trial.params.keys() != self.distributions.keys():
                self.study.tell(trial.number, state=TrialState.FAIL)  # killed while its options were drawn

    def trials(self) -> list[FrozenTrial]:
        """Every trial whose options were drawn, oldest first."""
        drawn = self.study.get_trials(deepcopy=False)
        return [trial for trial in drawn if trial.params.keys() == self.distributions.keys()]

    def next(self) -> Trial | None:
        """The trial that a killed search left open, else a new one; None when the budget is used up."""
        trials = self.trials()
        for position, trial in enumerate(trials[: self.search.trials]):
            if trial.state == TrialState.RUNNING and trial.number not in self.given_up:
                return self._begin(trial.number, position, trial.params)
        if len(trials) >= self.search.trials:
            return None
        seed = int(digest([self.search.seed, self.model, len(trials)])[:8], 16)
        self.study.sampler = TPESampler(seed=seed, n_startup_trials=max(2, min(10, self.search.trials // 2)))
        asked = self.study.ask(self.distributions)
        return self._begin(asked.number, len(trials), asked.params)

    def _begin(self, number: int, position: int, params: dict[str, Any]) -> Trial:
        config = self.plan.tuned(self.cell, {self.model: {**params, "training.keep_checkpoint": False}})
        config = _only(config.model_copy(update={"seeds": self.search.seeds}), self.variant)
        folder = self.folder / f"trial-{position:03d}"
        made = [
            Training(
                one.variant,
                one.seed,
                one.fingerprint,
                one.run_folder,
                config,
                folder / f"seed-{one.seed}",
                judge_test=False,
            )
            for one in trainings_of(Run(config))
        ]
        values = [float(one.metrics()["valid"][config.training.monitor]) for one in made if one.finished()]
        return Trial(self, number, position, [one for one in made if not one.finished()], values)

    def tell(self, trial: Trial, problem: str | None) -> None:
        """Records how a trial ended. One whose process was killed stays open: the next run tries it again."""
        if problem is None:
            self.study.tell(trial.number, float(np.mean(trial.values)))
            return
        write_json(self.folder / f"trial-{trial.position:03d}" / "failed.json", {"reason": problem})
        if problem == KILLED:
            self.given_up.add(trial.number)
        else:
            self.study.tell(trial.number, state=TrialState.FAIL)

    def found(self) -> Found:
        """The best finished trial; the earlier one of two that are equal."""
        trials = self.trials()[: self.search.trials]
        done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        failed = len(trials) - len(done)
        if not done:
            reasons = sorted(self.folder.glob("trial-*/failed.json"))
            where = f", see {reasons[0]}" if reasons else ""
            problem = f"all {len(trials)} trials of the search failed{where}"
            return Found(self.model, trials=len(trials), failed=failed, problem=problem)
        best = max(done, key=lambda trial: (trial.value, -trial.number))
        return Found(self.model, dict(best.params), best.value, len(trials), failed)

    def write(self, monitor: str) -> None:
        """`trials.csv` and `best.json` beside the journal."""
        rows = io.StringIO()
        table = csv.writer(rows, lineterminator="\n")
        table.writerow(["trial", "state", monitor, *self.distributions])
        for position, trial in enumerate(self.trials()):
            state = trial.state.name.lower()
            table.writerow([position, state, trial.value, *(trial.params[name] for name in self.distributions)])
        write_text(self.folder / "trials.csv", rows.getvalue())
        found = self.found()
        write_json(
            self.folder / "best.json",
            {
                "model": self.model,
                "variant": self.variant,
                "monitor": monitor,
                "options": found.options,
                "value": found.value,
                "trials": found.trials,
                "failed": found.failed,
                "seeds": self.search.seeds,
            },
        )


def search_models(plan: Plan, cell: Cell, run: Run, workers: int) -> tuple[dict[str, Found], int]:
    """Searches every model of a run; finished trials are kept. The models' searches go on side by side.

    Each model is given what the first variant that uses it is given.

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


def _only(config: Any, variant: str) -> Any:
    return config.model_copy(update={"variants": {variant: config.variants[variant]}})


def _open(path: Path, name: str) -> optuna.Study:
    """The study `name` of a journal; what a killed process left half written is cut off first."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        Path(f"{path}.lock").unlink()  # the experiment's own lock keeps other processes away
    if path.exists():
        whole = path.read_bytes()
        end = whole.rfind(b"\n") + 1
        if end < len(whole):
            os.truncate(path, end)
    storage = JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path))))
    try:
        return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    except ValueError as error:
        raise AugrecError(
            f"the journal of the search cannot be read ({error})", where=path, remedy="delete this file and run again"
        ) from None
