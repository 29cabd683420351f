"""One model's trials: what is proposed next, what came of it, and the journal from which a killed search goes on.

Each trial's sampler is seeded by the trial's number, so that a killed search proposes what an uninterrupted one would.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from augrec.artefacts.csv_cells import csv_lines
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import digest, write_json, write_text
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.config import Config
from augrec.pipeline.host.workers import KILLED
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.train import trainings_of
from augrec.pipeline.studies.experiment.options import Search
from augrec.pipeline.studies.experiment.plan import Cell, Plan
from augrec.pipeline.studies.search.spaces import Space
from augrec.pipeline.training import Training


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
        self.folder = RunFolder(run.folder).search / model
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
        rows: list[list[Any]] = [["trial", "state", monitor, *self.distributions]]
        for position, trial in enumerate(self.trials()):
            state = trial.state.name.lower()
            rows.append([position, state, trial.value, *(trial.params[name] for name in self.distributions)])
        write_text(self.folder / "trials.csv", csv_lines(rows))
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


def _only(config: Config, variant: str) -> Config:
    """One variant, with the seeds of the config."""
    kept = config.variants[variant].model_copy(update={"seeds": None})
    return config.model_copy(update={"variants": {variant: kept}})


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
