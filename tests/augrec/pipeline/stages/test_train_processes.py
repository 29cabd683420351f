"""The train stage with several processes per training, data parallel and split, from a config."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.local import Local
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.beside import default_workers
from augrec.pipeline.stages.train import Train
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_run import advance, open_run

SECTIONS = """
models:
  one: {family: lightgcn, dim: 8, layers: 1}
  two: {family: lightgcn, dim: 8, layers: 1, training: {processes: 2}}
  split: {family: lightgcn, dim: 8, layers: 1, training: {processes: 2, shard: true}}
training: {epochs: 3, batch_size: 100}
workers: null
variants: {one: {model: one}, two: {model: two}, split: {model: split}}
report: {baseline: one}
"""


@pytest.mark.slow
def test_trainings_of_two_processes_are_rows_like_any_other(
    tmp_path: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))
    run = open_run(tmp_path, toy_config(toy_data, SECTIONS))
    advance(run, processes=True)
    found = {name: read_json(run.folder / "train" / name / "seed-1" / "metrics.json") for name in run.config.variants}
    assert {name: metrics["processes"] for name, metrics in found.items()} == {
        "one": 1, "two": 2, "split": 2, "popular": 1,
    }  # fmt: skip
    for name in ("two", "split"):
        assert found[name]["best_epoch"] == found["one"]["best_epoch"]
        assert found[name]["test"] == pytest.approx(found["one"]["test"], abs=1e-12)
    assert (run.folder / "report" / "index.html").exists()


def test_processes_take_the_place_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_config(tmp_path / "toy.yaml", toy_config(tmp_path, SECTIONS))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert default_workers(read_config(config, ["training.threads=2"])) == 2
    assert default_workers(read_config(config, ["training.processes=16"])) == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="start augrec without torchrun"):
        Local().prepare(Run(read_config(config)), Train())
