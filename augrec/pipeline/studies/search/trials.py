"""Trials of one model's options on validation, and running those of several models side by side.

A trial trains its model with the search's own seeds and never evaluates the test split. What is tried next is the
study's decision: `journal.JournalStudy` draws from a space and learns from what it has seen, `grid.GridStudy` goes
through a list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.csv_cells import csv_lines
from augrec.artefacts.files import write_json, write_text
from augrec.artefacts.metrics import Metric
from augrec.artefacts.progress import progress, say
from augrec.artefacts.study_folder import SearchFolder
from augrec.pipeline.host.workers import run_tasks
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.train import trainings_of
from augrec.pipeline.studies.search.subject import Subject, Values
from augrec.pipeline.training.variant_training import Training, train_one
from augrec.report.study import SearchResult, Tried


@dataclass
class Trial:
    """One trial on its way: what is still to be trained, one training per search seed, and the values so far."""

    study: Study
    position: int
    waiting: list[Training]
    values: list[float] = field(default_factory=list)

    @property
    def value(self) -> float:
        """The mean over the search seeds so far."""
        return float(np.mean(self.values))


class Study(ABC):
    """The trials of one model in one run.

    Args:
        subject: what is searched.
        folder: where the trials write.
        budget: how many trials there are.
        at_once: how many of them may be open at the same time.
    """

    def __init__(self, subject: Subject, folder: Path, budget: int, at_once: int) -> None:
        self.subject, self.files, self.budget, self.at_once = subject, SearchFolder(folder), budget, at_once

    @property
    def model(self) -> str:
        """The name of the model whose options are searched."""
        return self.subject.model

    @abstractmethod
    def next(self) -> Trial | None:
        """A trial that an interrupted search left open, else a new one; None when the budget is used up."""

    @abstractmethod
    def tell(self, trial: Trial, problem: str | None) -> None:
        """Records how a trial ended."""

    @abstractmethod
    def tried(self) -> list[Tried]:
        """Every trial whose options are known, in order."""

    def finished(self) -> int:
        """How many trials of the budget need nothing more."""
        return sum(trial.state in ("complete", "fail") for trial in self.tried()[: self.budget])

    def begin(self, position: int, options: Values) -> Trial:
        """The trial of some options; trainings that are finished are not waiting."""
        config = self.subject.narrowed(options)
        files = self.files.trial(position)
        made = [
            replace(training, folder=files.training(training.seed).root, judge_test=False)
            for training in trainings_of(Run(config))
        ]
        done = [training for training in made if training.finished()]
        values = [float(training.metrics()["valid"][config.training.monitor]) for training in done]
        return Trial(self, position, [training for training in made if training not in done], values)

    def write_failure(self, trial: Trial, problem: str) -> None:
        """Says in the trial's folder why it failed."""
        write_json(self.files.trial(trial.position).failure, {"reason": problem})

    def result(self, monitor: str) -> SearchResult:
        """The best complete trial; the earlier one of two that are equal."""
        tried = tuple(self.tried()[: self.budget])
        values = [trial.value for trial in tried if trial.state == "complete" and trial.value is not None]
        failed = len(tried) - len(values)
        if not values:
            reasons = [trial.failure for trial in self.files.trials() if trial.failure.exists()]
            where = f", see {reasons[0]}" if reasons else ""
            problem = f"all {len(tried)} trials of the search failed{where}"
            return SearchResult(self.model, trials=len(tried), failed=failed, problem=problem, tried=tried)
        best = Metric.parse(monitor).best(values)
        chosen = next(trial for trial in tried if trial.state == "complete" and trial.value == best)
        return SearchResult(self.model, dict(chosen.options), chosen.value, len(tried), failed, tried=tried)

    def write(self, monitor: str) -> None:
        """A table of the trials, and what was chosen, beside them."""
        tried, result = self.tried(), self.result(monitor)
        names = list(dict.fromkeys(name for trial in tried for name in trial.options))
        rows: list[list[Any]] = [["trial", "state", monitor, *names]]
        for position, trial in enumerate(tried):
            rows.append([position, trial.state, trial.value, *(trial.options.get(name) for name in names)])
        write_text(self.files.trials_csv, csv_lines(rows))
        write_json(
            self.files.best,
            {
                "model": self.model,
                "variant": self.subject.variant,
                "monitor": monitor,
                "options": result.options,
                "value": result.value,
                "trials": result.trials,
                "failed": result.failed,
                "seeds": list(self.subject.seeds),
            },
        )


@dataclass(frozen=True)
class Step:
    """One training of a trial, as sent to a worker; `model` and `position` find the trial again."""

    model: str
    position: int
    training: Training


def run_trials(studies: Sequence[Study], workers: int) -> int:
    """Runs all trials that are not finished, those of several models side by side; returns their number."""
    budget = sum(study.budget for study in studies)
    finished = sum(study.finished() for study in studies)
    if finished == budget:
        return 0
    open_trials: dict[tuple[str, int], Trial] = {}
    if finished:
        say(f"search  {finished} kept, {budget - finished} to go")
    with progress("search", budget - finished, "trials", whole=budget) as ticker:

        def opened(study: Study) -> Iterator[Step]:
            """First trainings of new trials, as many as may be open."""
            while sum(model == study.model for model, _ in open_trials) < study.at_once:
                trial = study.next()
                if trial is None:
                    return
                if not trial.waiting:  # all its trainings were finished when the last search was killed
                    conclude(trial, None)
                    continue
                open_trials[study.model, trial.position] = trial
                yield Step(study.model, trial.position, trial.waiting[0])

        def conclude(trial: Trial, problem: str | None) -> None:
            open_trials.pop((trial.study.model, trial.position), None)
            trial.study.tell(trial, problem)
            shown = f"{trial.value:.4f}" if problem is None else "failed"
            ticker.note(f"{trial.study.model} trial {trial.position + 1}/{trial.study.budget}: {shown}")
            if problem is None:
                ticker.advance()
            else:
                ticker.fail()

        def done(step: Step, value: float | None, problem: str | None) -> Iterable[Step]:
            trial = open_trials[step.model, step.position]
            trial.waiting.pop(0)
            if value is not None:
                trial.values.append(value)
            if problem is None and trial.waiting:
                return [Step(step.model, step.position, trial.waiting[0])]
            conclude(trial, problem)
            return list(opened(trial.study))

        first = [step for study in studies for step in opened(study)]
        if first:
            run_tasks(partial(_train_step, beside_others=workers > 1), first, workers, done)
    return budget - finished


def _train_step(step: Step, beside_others: bool) -> float:
    return train_one(step.training, beside_others)
