"""Runs one cell of a study: shared stages, a search for options, trainings, the run's own page."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from augrec.artefacts.counts import counted, noun
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_json, write_text
from augrec.artefacts.run_folder import FAILURES, RunFolder
from augrec.pipeline.config import Config, save_config
from augrec.pipeline.executors.chain import exclusive, run_stage
from augrec.pipeline.executors.local import Local
from augrec.pipeline.executors.pieces import Executor
from augrec.pipeline.host.stopping import Stopper
from augrec.pipeline.host.workers import reason
from augrec.pipeline.stages import STAGES, chain
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.beside import default_workers
from augrec.pipeline.studies.memory import workers_that_fit
from augrec.pipeline.studies.plan import Cell
from augrec.pipeline.studies.reuse import adopt_stage, adopt_trainings
from augrec.report.study import Failure

SHARED = tuple(name for name, stage in STAGES.items() if not stage.per_variant)
"""The stages whose outputs several settings may have in common."""
AFTER_SHARED = ("search", "train", "report")


class Stopped(Exception):
    """A step of a cell failed, so that the ones after it cannot run."""


class CellRunner:
    """Runs a cell step by step; each step that is finished is skipped.

    Args:
        cell: the run.
        steps: the names of all steps, for their numbers on the console.
        console: where the lines go.
        force: names of stages to run again from nothing.
        download: whether the data set may be fetched from its publisher.
        others: run folders whose finished stages and trainings are copied when they are the same.
        stop: whether the process was asked to stop.
        executor: who does the pieces of stages; None: processes on this machine.
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
        console: Console,
        *,
        force: Collection[str] = (),
        download: bool = False,
        others: Sequence[Path] = (),
        keep_going: bool = False,
        stop: Stopper | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.executor = executor or Local()
        self.cell, self.console = cell, console
        self.stop = stop or Stopper()
        there = {stage.name for stage in chain(cell.config)}
        self.shared = [name for name in SHARED if name in there]
        self.steps = [name for name in steps if name in there or name not in STAGES]
        if "rerank" in there:
            self.steps.insert(self.steps.index("report"), "rerank")
        self.force, self.download, self.others, self.keep_going = force, download, others, keep_going
        self.config = cell.config
        self.failures: list[Failure] = []

    def run(self, search: Callable[[Run], Config] | None = None) -> None:
        """Every step in turn.

        Args:
            search: makes the config that is trained from the run whose shared stages are finished.
        """
        if not self.keep_going:
            self._steps(search)
            return
        try:
            with exclusive(self.cell.folder):
                self._steps(search)
        except Stopped:
            pass
        except AugrecError as error:
            self.fail("start", reason(error))
            self.console.print(f"failed: {reason(error)}", markup=False, highlight=False)

    def fail(self, stage: str, text: str, variant: str | None = None, seed: int | None = None) -> None:
        """Records a failure."""
        self.failures.append(Failure(self.cell.dataset, self.cell.setting, stage, text, variant, seed))

    def say(self, step: str, text: str) -> None:
        """A line of a step on the console."""
        self.console.print(f"{self.label(step)} {text}", markup=False, highlight=False)

    def label(self, step: str) -> str:
        """The step and its number."""
        return f"[{self.steps.index(step) + 1}/{len(self.steps)}] {step:<10}"

    def _steps(self, search: Callable[[Run], Config] | None) -> None:
        run = Run(self.cell.config, self.download, stop=self.stop)
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
            if not self.keep_going:
                raise
            self.fail(step, reason(error))
            if not isinstance(error, AugrecError):
                write_text(RunFolder(self.cell.folder).error_log(step), traceback.format_exc())
            self.say(step, f"failed: {reason(error)}")
            raise Stopped from error

    def _share(self, name: str, run: Run) -> None:
        source = None if name in self.force else adopt_stage(STAGES[name], run, self.others)
        if source is not None:
            self.say(name, f"copied, the same as in {source}")
            return
        self._run_stage(name, run)

    def _run_stage(self, name: str, run: Run) -> None:
        forced = name in self.force
        run_stage(STAGES[name], run, forced, self.label(name), self.console, executor=self.executor)

    def _fitting(self) -> Run:
        """The run with as many trainings side by side as fit into memory."""
        run = Run(self.config, self.download, stop=self.stop)
        if not self.executor.here:
            return run
        fitting = workers_that_fit(run)
        if fitting >= default_workers(self.config):
            return run
        self.config = self.config.model_copy(update={"workers": fitting})
        self.say("train", f"{fitting} at a time, for want of memory")
        return Run(self.config, self.download, stop=self.stop)

    def _train(self, run: Run) -> None:
        """The train stage; where the study keeps going, single trainings that fail are recorded, the others kept."""
        force = "train" in self.force
        copied = 0 if force else adopt_trainings(run, self.others)
        if copied:
            self.say("train", f"{counted(copied, 'training')} copied from runs that share {noun(copied, 'it', 'them')}")
        listed = STAGES["train"].folder(run) / FAILURES
        listed.unlink(missing_ok=True)
        try:
            self._run_stage("train", run)
        except AugrecError as error:
            if not self.keep_going or not listed.exists():
                raise
            for name, problem in read_json(listed).items():
                variant, _, seed = name.rpartition("/seed-")
                self.fail("train", problem, variant, int(seed))
            self.say("train", reason(error))
