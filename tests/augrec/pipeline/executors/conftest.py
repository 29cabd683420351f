"""A run whose shards and trainings are still to do, and processes that are slow enough to be stopped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.stages.base import Run

SLOW = Path(__file__).parent / "slow"


@pytest.fixture
def open_run(run_copy: Path, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the finished run from which everything after the candidates is taken away."""
    monkeypatch.setenv("AUGREC_CACHE", str(finished_run.parent / "cache"))
    for name in ("augment", "embed", "train", "report"):
        shutil.rmtree(run_copy / name)
    text = (finished_run / "config.yaml").read_text().replace(str(finished_run), str(run_copy))
    (tmp_path / "toy.yaml").write_text(text)
    return Run(read_config(tmp_path / "toy.yaml"))


@pytest.fixture
def start(tmp_path: Path, finished_run: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `augrec ...` in a process of its own; `slow` are the seconds per answer of the heuristic engine."""

    def launch(*arguments: str, slow: float | None = None, **variables: str) -> subprocess.Popen[str]:
        environment = dict(os.environ, AUGREC_CACHE=str(finished_run.parent / "cache"), **variables)
        root = Path(__file__).parents[4]
        environment["PYTHONPATH"] = f"{SLOW}:{root}"
        if slow is not None:
            (tmp_path / "slow").write_text(str(slow))
            environment["AUGREC_TEST_SLOW"] = str(tmp_path / "slow")
        command = [sys.executable, "-m", "augrec.cli", *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return launch
