"""A graph model with an aligner is given the texts of its variant's source, from the config to the loss."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.trainings import read_training
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.stages.base import Run
from tests.kit.toy_run import advance


def test_its_term_is_learned_and_other_trainings_stay(finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    kept = {path: path.stat().st_mtime_ns for path in run.glob("train/*/*/metrics.json")}
    added = []
    for kind in ("con", "gen"):
        model = f"{{family: lightgcn, dim: 8, layers: 1, released: true, aligner: {{kind: {kind}, bank: 8}}}}"
        added += [f"models.by_{kind}={model}", f"variants.by_{kind}={{model: by_{kind}, source: rule}}"]
    advance(Run(read_config(finished_run.parent / "toy.yaml", [f"output={run}", *added])))
    for kind in ("con", "gen"):
        history = read_training(RunFolder(run).training(f"by_{kind}", 1)).details["history"]
        assert set(history[0]["terms"]) == {"bpr", "l2", kind}
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert "pooling: sum" in (run / "config.yaml").read_text()  # what `released` set is in the saved config


def test_without_a_source_there_is_nothing_to_align_with(finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    model = "models.aligned={family: lightgcn, dim: 8, aligner: {kind: con}}"
    overrides = [f"output={run}", model, "variants.aligned={model: aligned}"]
    with pytest.raises(AugrecError, match="needs user features") as caught:
        advance(Run(read_config(finished_run.parent / "toy.yaml", overrides)))
    assert caught.value.remedy
