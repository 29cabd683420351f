"""Runs of toy configs in this process, and the finished one that all tests of a session read."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from rich.console import Console

from augrec.pipeline.config import read_config
from augrec.pipeline.executors.chain import run_all, run_one
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.base_recommender import BasePiece
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


def advance(run: Run, *stages: str, force: bool = False) -> str:
    """Runs stages in this process, all of them if none is named; what the console shows."""
    said = io.StringIO()
    for stage in stages:
        run_one(run, stage, force=force, console=Console(file=said))
    if not stages:
        run_all(run, console=Console(file=said))
    return said.getvalue()


def make_base(run: Run) -> None:
    """Prepares the data and does the stage `base` piece by piece in this process, without one for each piece."""
    advance(run, "prepare")
    stage = STAGES["base"]
    for piece in stage.pieces(run):
        assert isinstance(piece, BasePiece)
        assert piece.training is not None
        piece.training.do(beside_others=False)
    stage.finish(run)


def finish_toy_run(root: Path) -> None:
    """Runs the whole chain into root/run, over root/toy.yaml and root/data; looks weights up in root/cache."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AUGREC_CACHE", str(root / "cache"))
        advance(open_run(root, finished_config(write_toy_data(root / "data"))))


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
