"""Runs of toy configs in this process, and the finished one that all tests of a session read."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from rich.console import Console

from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors import local
from augrec.pipeline.executors.chain import run_all, run_one
from augrec.pipeline.host.workers import Done, reason
from augrec.pipeline.stages.base import Run
from augrec.pipeline.studies.search import trials
from tests.kit.toy_config import EMBEDDING, RULES, toy_config, write_config
from tests.kit.toy_data import write_toy_data

FINISHED = """
candidates: {model: base}
models:
  base: {family: lightgcn, dim: 8, layers: 1}
  llmrec: {family: llmrec, dim: 8}
  popular: {family: popularity}
training: {epochs: 3}
seeds: [1, 2]
workers: 2
variants:
  llmrec: {model: llmrec, source: rule}
  shuffled: {model: llmrec, source: rule, change: {user_profile: shuffled}}
  base: {model: base}
  popular: {model: popular}
report: {baseline: base}
"""


def silent() -> Console:
    """A console that nobody reads."""
    return Console(file=io.StringIO())


def finished_config(data: Path | str) -> dict[str, Any]:
    """The config of the finished run: every stage, four variants, two seeds, rules instead of a language model."""
    return toy_config(data, RULES, EMBEDDING, "{models: null, variants: null}", FINISHED)


def open_run(root: Path, content: Mapping[str, Any], overrides: Sequence[str] = ()) -> Run:
    """Writes root/toy.yaml and opens its run in root/run.

    Args:
        root: a folder.
        content: the sections of the config.
        overrides: `key=value`, as on the command line.
    """
    path = write_config(root / "toy.yaml", content)
    return Run(read_config(path, [f"output={root / 'run'}", *overrides]))


def advance(run: Run, *stages: str, force: bool = False, processes: bool = False) -> str:
    """Runs stages, all of them if none is named; what the console shows.

    Args:
        run: the run.
        stages: their names.
        force: runs them from nothing.
        processes: whether trainings have processes of their own, as a user's have. Each spends seconds on imports, so a
            test that is about something else does without.
    """
    said = io.StringIO()
    with nullcontext() if processes else in_this_process():
        for stage in stages:
            run_one(run, stage, force=force, console=Console(file=said))
        if not stages:
            run_all(run, console=Console(file=said))
    return said.getvalue()


@contextmanager
def in_this_process() -> Iterator[None]:
    """While the block runs, what stages and searches would give to processes of their own is done here."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (local, trials):
            patch.setattr(module, "run_tasks", one_by_one)
        yield


def one_by_one(work: Callable[[Any], Any], tasks: Iterable[Any], workers: int, done: Done[Any]) -> None:
    """What `run_tasks` does, without processes, which take seconds to start."""
    waiting = deque(tasks)
    while waiting:
        task = waiting.popleft()
        try:
            result = work(task)
        except Exception as error:
            waiting.extend(done(task, None, reason(error)))
        else:
            waiting.extend(done(task, result, None))


def finish_toy_run(root: Path) -> None:
    """Runs the whole chain into root/run, over root/toy.yaml and root/data; looks weights up in root/cache."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AUGREC_CACHE", str(root / "cache"))
        advance(open_run(root, finished_config(write_toy_data(root / "data"))), processes=True)


def built_once(name: str, build: Callable[[Path], object], base: Path, *, shared: bool) -> Path:
    """A folder that is built once for a session, by whichever of its processes comes first.

    Args:
        name: the folder's.
        build: fills the folder. One that it leaves half full is never used: who asks for it next fails as well.
        base: this process's folder of temporary folders.
        shared: whether there are others, whose folders lie beside this one's: pytest-xdist's workers.
    """
    folder = (base.parent if shared else base) / name
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "built").exists():
            folder.mkdir()
            build(folder)
            (folder / "built").touch()
    return folder
