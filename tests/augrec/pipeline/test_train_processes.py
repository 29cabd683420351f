"""The train stage with several processes per training, data parallel and split, from a config."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json
from augrec.pipeline.config import read_config
from augrec.pipeline.executors.chain import run_all
from augrec.pipeline.executors.local import Local
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.train import Train, default_workers

CONFIG = """
name: toy
dataset:
  name: Toy
  source: {{format: recbole, path: {data}}}
  min_rating: 3
  k_core: 2
  split: {{kind: random}}
candidates: {{size: 5, model: popular}}
models:
  one: {{family: lightgcn, dim: 8, layers: 1}}
  two: {{family: lightgcn, dim: 8, layers: 1, training: {{processes: 2}}}}
  split: {{family: lightgcn, dim: 8, layers: 1, training: {{processes: 2, shard: true}}}}
  popular: {{family: popularity}}
training: {{epochs: 3, batch_size: 100, lr: 0.01, monitor: "recall@10", device: cpu, threads: 1}}
evaluation: {{cutoffs: [5, 10]}}
seeds: [1]
variants:
  one: {{model: one}}
  two: {{model: two}}
  split: {{model: split}}
  popular: {{model: popular}}
report: {{baseline: one, primary: recall@10, secondary: [ndcg@5], bootstrap: 100}}
"""


def test_trainings_of_two_processes_are_rows_like_any_other(
    tmp_path: Path, toy_data: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    config = tmp_path / "toy.yaml"
    config.write_text(CONFIG.format(data=toy_data()))
    run = Run(read_config(config, [f"output={tmp_path / 'run'}"]))
    run_all(run, console=Console(file=io.StringIO()))
    found = {name: read_json(run.folder / "train" / name / "seed-1" / "metrics.json") for name in run.config.variants}
    assert {name: metrics["processes"] for name, metrics in found.items()} == {
        "one": 1, "two": 2, "split": 2, "popular": 1,
    }  # fmt: skip
    for name in ("two", "split"):
        assert found[name]["best_epoch"] == found["one"]["best_epoch"]
        assert found[name]["test"] == pytest.approx(found["one"]["test"], abs=1e-12)
    assert (run.folder / "report" / "index.html").exists()


def test_processes_take_the_place_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "toy.yaml"
    config.write_text(CONFIG.format(data=tmp_path))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert default_workers(read_config(config, ["training.threads=2"])) == 2
    assert default_workers(read_config(config, ["training.processes=16"])) == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="start augrec without torchrun"):
        Local().prepare(Run(read_config(config)), Train())
