"""A small experiment without an LLM and without text: three models, two settings, in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.held_out_rows import forbid_test_rows
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_run import in_this_process

BASE = """
candidates: {model: graph}
models: {graph: {family: lightgcn, dim: 8, layers: 1}}
seeds: [1, 2]
variants: {graph: {model: graph}}
report: {baseline: graph, bootstrap: null}
"""
EXPERIMENT = """
name: toy-experiment
output: {output}
base: base.yaml
variants: {{graph: {{model: graph}}, popular: {{model: popular}}}}
tables:
  main: {{title: Main, metrics: [recall@10, ndcg@5], baseline: graph, bootstrap: 100}}
"""
SPACE = """
family: lightgcn
space:
  layers: {kind: int, low: 0, high: 3}
  training.lr: {kind: float, low: 0.001, high: 0.1, log: true}
"""


@pytest.fixture
def experiment_file(tmp_path: Path) -> Path:
    """An experiment beside its base and its spaces; its data do not exist."""
    write_config(tmp_path / "base.yaml", toy_config(tmp_path / "data", BASE))
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "lightgcn.yaml").write_text(SPACE)
    path = tmp_path / "experiment.yaml"
    path.write_text(EXPERIMENT.format(output=tmp_path / "out"))
    return path


@pytest.fixture
def experiment_with_data(experiment_file: Path, toy_data: Path) -> Path:
    """The same with its data."""
    return experiment_file


@pytest.fixture
def inline() -> Iterator[None]:
    """Trainings and trials run in this process."""
    with in_this_process():
        yield


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch, inline: None) -> Callable[[], None]:
    """Called, it lets every read of a test interaction raise; trainings and trials run in this process."""
    return lambda: forbid_test_rows(monkeypatch)
