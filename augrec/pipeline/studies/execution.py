"""How the runs of a study are done: what a command says beside the config."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from rich.console import Console

from augrec.pipeline.config.run_config import Config
from augrec.pipeline.executors.local import Local
from augrec.pipeline.executors.pieces import Executor
from augrec.pipeline.host.stopping import Stopper
from augrec.pipeline.stages.base import Run


@dataclass(frozen=True)
class Execution:
    """How the runs of a study are done.

    Attributes:
        console: where the lines go.
        force: names of stages to run again from nothing, in every run.
        download: whether a data set may be fetched from its publisher.
        stop: whether the process was asked to stop.
        executor: who does the pieces of stages; trials of a search are done by processes on this machine.
    """

    console: Console
    force: Collection[str] = ()
    download: bool = False
    stop: Stopper = field(default_factory=Stopper)
    executor: Executor = field(default_factory=Local)

    def run(self, config: Config) -> Run:
        """A run of a config, done in this way."""
        return Run(config, self.download, stop=self.stop)

    def say(self, text: str, *, style: str | None = None) -> None:
        """A line on the console; nothing in it is markup."""
        self.console.print(text, markup=False, highlight=False, style=style)
