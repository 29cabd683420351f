"""Runs one cell of a study: shared stages, a search for options, trainings, the run's own page."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from augrec.artefacts.counts import counted, noun
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_json, write_text
from augrec.artefacts.run_folder import FAILURES, RunFolder
from augrec.pipeline.config.run_config import Config, save_config
from augrec.pipeline.executors.chain import exclusive, run_stage
from augrec.pipeline.host.workers import reason
from augrec.pipeline.stages import STAGES, chain
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.beside import default_workers
from augrec.pipeline.studies.execution import Execution
from augrec.pipeline.studies.memory import workers_that_fit
from augrec.pipeline.studies.plan import Cell
from augrec.pipeline.studies.reuse import adopt_stage, adopt_trainings
from augrec.report.study import Failure

SHARED = tuple(name for name, stage in STAGES.items() if not stage.per_variant)
"""The stages whose outputs several settings may have in common."""
AFTER_SHARED = ("search", "train", "report")


class StepFailed(Exception):
    """A step of a cell failed, so that the ones after it cannot run."""


class CellRunner:
    """Runs a cell step by step; each step that is finished is skipped.

    Args:
        cell: the run.
        steps: the names of all steps, for their numbers on the console.
        execution: how it is done.
        others: run folders whose finished stages and trainings are copied when they are the same.
        keep_going: whether a failure becomes an entry of `failures`, so that what does not depend on it goes on; else
            it is raised.

    Attributes:
        config: what the trainings run with, known after the search.
        failures: what did not work out.
    """

    def __init__(
        self,
        cell: Cell,
        steps: Sequence[str],
        execution: Execution,
        *,
        others: Sequence[Path] = (),
        keep_going: bool = False,
    ) -> None:
        self.cell, self._execution, self._others, self._keep_going = cell, execution, others, keep_going
        there = {stage.name for stage in chain(cell.config)}
        self.shared = [name for name in SHARED if name in there]
        self.steps = [name for name in steps if name in there or name not in STAGES]
        if "rerank" in there:
            self.steps.insert(self.steps.index("report"), "rerank")
        self.config = cell.config
        self.failures: list[Failure] = []

    def run(self, search: Callable[[Run], Config] | None = None) -> None:
        """Every step in turn.

        Args:
            search: makes the config that is trained from the run whose shared stages are finished.
        """
        if not self._keep_going:
            self._steps(search)
            return
        try:
            with exclusive(self.cell.folder):
                self._steps(search)
        except StepFailed:
            pass
        except AugrecError as error:
            self.fail("start", reason(error))
            self._execution.say(f"failed: {reason(error)}")

    def fail(self, stage: str, text: str, variant: str | None = None, seed: int | None = None) -> None:
        """Records a failure."""
        self.failures.append(Failure(self.cell.dataset, self.cell.setting, stage, text, variant, seed))

    def say(self, step: str, text: str) -> None:
        """A line of a step on the console."""
        self._execution.say(f"{self.label(step)} {text}")

    def label(self, step: str) -> str:
        """The step and its number."""
        return f"[{self.steps.index(step) + 1}/{len(self.steps)}] {step:<10}"

    def _steps(self, search: Callable[[Run], Config] | None) -> None:
        run = self._execution.run(self.cell.config)
        run.files.begin()
        if not run.files.config.exists():  # nodes of a cluster know a run by it
            save_config(run.config, run.files.config)
        for name in self.shared:
            with self._recorded(name):
                self._share(name, run)
        if search is not None:
            with self._recorded("search"):
                self.config = search(run)
        run = self._fitting()
        save_config(run.config, run.files.config)
        with self._recorded("train"):
            self._train(run)
        if not self.failures and self.config.rerank is not None:
            with self._recorded("rerank"):
                self._run_stage("rerank", run)
        if not self.failures:
            with self._recorded("report"):
                self._run_stage("report", run)

    @contextmanager
    def _recorded(self, step: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self._keep_going:
                raise
            self.fail(step, reason(error))
            if not isinstance(error, AugrecError):
                write_text(RunFolder(self.cell.folder).error_log(step), traceback.format_exc())
            self.say(step, f"failed: {reason(error)}")
            raise StepFailed from error

    def _share(self, name: str, run: Run) -> None:
        source = None if name in self._execution.force else adopt_stage(STAGES[name], run, self._others)
        if source is not None:
            self.say(name, f"copied, the same as in {source}")
            return
        self._run_stage(name, run)

    def _run_stage(self, name: str, run: Run) -> None:
        how = self._execution
        run_stage(STAGES[name], run, name in how.force, self.label(name), how.console, executor=how.executor)

    def _fitting(self) -> Run:
        """The run with as many trainings side by side as fit into memory."""
        run = self._execution.run(self.config)
        if not self._execution.executor.here:
            return run
        fitting = workers_that_fit(run)
        if fitting >= default_workers(self.config):
            return run
        self.config = self.config.model_copy(update={"workers": fitting})
        self.say("train", f"{fitting} at a time, for want of memory")
        return self._execution.run(self.config)

    def _train(self, run: Run) -> None:
        """The train stage; where the study keeps going, single trainings that fail are recorded, the others kept."""
        force = "train" in self._execution.force
        copied = 0 if force else adopt_trainings(run, self._others)
        if copied:
            self.say("train", f"{counted(copied, 'training')} copied from runs that share {noun(copied, 'it', 'them')}")
        listed = STAGES["train"].folder(run) / FAILURES
        listed.unlink(missing_ok=True)
        try:
            self._run_stage("train", run)
        except AugrecError as error:
            if not self._keep_going or not listed.exists():
                raise
            for name, problem in read_json(listed).items():
                variant, _, seed = name.rpartition("/seed-")
                self.fail("train", problem, variant, int(seed))
            self.say("train", reason(error))
