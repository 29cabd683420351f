"""A search that draws from a space with Optuna's TPE, without pruning, and its journal.

Each trial's sampler is seeded by the trial's number, so that a killed search proposes what an uninterrupted one would.
At most one trial is open at a time, because a proposal rests on all results before it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import optuna
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import digest
from augrec.artefacts.metrics import Metric
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.host.workers import KILLED
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.train import trainings_of
from augrec.pipeline.studies.search.options import Search
from augrec.pipeline.studies.search.spaces import Space
from augrec.pipeline.studies.search.subject import Subject
from augrec.pipeline.studies.search.trials import Study, Trial
from augrec.report.study import Tried

STATES = {TrialState.COMPLETE: "complete", TrialState.FAIL: "fail"}


class JournalStudy(Study):
    """The trials of one model's space.

    Args:
        subject: what is searched.
        folder: where the trials and the journal are.
        config: of the run, its stages before `train` finished.
        search: the budget and the seeds.
        space: of the model's family.
    """

    def __init__(self, subject: Subject, folder: Path, config: Config, search: Search, space: Space) -> None:
        super().__init__(subject, folder, budget=search.trials, at_once=1)
        self.search = search
        self.distributions = {name: spec.distribution() for name, spec in space.space.items()}
        untried = config.variants[subject.variant].model_copy(update={"seeds": None})
        narrowed = config.model_copy(update={"variants": {subject.variant: untried}, "seeds": search.seeds})
        identity = [
            trainings_of(Run(narrowed))[0].fingerprint, space.model_dump(mode="json"), search.seed, search.seeds
        ]  # fmt: skip
        self.given_up: set[int] = set()
        metric = Metric.parse(config.training.monitor)
        direction = StudyDirection.MINIMIZE if metric.lower_is_better else StudyDirection.MAXIMIZE
        self.study = _open(self.files.journal, digest(identity)[:16], direction)
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state == TrialState.RUNNING and trial.params.keys() != self.distributions.keys():
                self.study.tell(trial.number, state=TrialState.FAIL)  # killed while its options were drawn

    def drawn(self) -> list[FrozenTrial]:
        """Every trial whose options were drawn, oldest first."""
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.params.keys() == self.distributions.keys()]

    def tried(self) -> list[Tried]:
        """See `Study.tried`; in the order in which they were drawn."""
        return [
            Tried(
                {name: trial.params[name] for name in self.distributions},
                STATES.get(trial.state, "running"),  # type: ignore[arg-type]
                trial.value,
            )
            for trial in self.drawn()
        ]

    def next(self) -> Trial | None:
        """See `Study.next`; one that was begun before is taken up before another is drawn."""
        drawn = self.drawn()
        for position, trial in enumerate(drawn[: self.budget]):
            if trial.state == TrialState.RUNNING and position not in self.given_up:
                return self.begin(position, trial.params)
        if len(drawn) >= self.budget:
            return None
        seed = int(digest([self.search.seed, self.model, len(drawn)])[:8], 16)
        self.study.sampler = TPESampler(seed=seed, n_startup_trials=max(2, min(10, self.budget // 2)))
        return self.begin(len(drawn), self.study.ask(self.distributions).params)

    def tell(self, trial: Trial, problem: str | None) -> None:
        """Records how a trial ended. One whose process was killed stays open: the next run tries it again."""
        number = self.drawn()[trial.position].number
        if problem is None:
            self.study.tell(number, trial.value)
            return
        self.write_failure(trial, problem)
        if problem == KILLED:
            self.given_up.add(trial.position)
        else:
            self.study.tell(number, state=TrialState.FAIL)


def _open(path: Path, name: str, direction: StudyDirection) -> optuna.Study:
    """The study `name` of a journal; what a killed process left half written is cut off first."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        Path(f"{path}.lock").unlink()  # the study's own lock keeps other processes away
    if path.exists():
        whole = path.read_bytes()
        end = whole.rfind(b"\n") + 1
        if end < len(whole):
            os.truncate(path, end)
    storage = JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path))))
    try:
        return optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)
    except ValueError as error:
        raise AugrecError(
            f"the journal of the search cannot be read ({error})", where=path, remedy="delete this file and run again"
        ) from None
