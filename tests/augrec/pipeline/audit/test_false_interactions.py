"""The audit of false interactions: a sound training has no violation, each damage is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.run_folder import RunFolder, TrainingFolder
from augrec.pipeline.audit.interactions import read_split
from augrec.pipeline.audit.noise import audit_noise
from recsys.data.dataset import Dataset
from recsys.data.noise import false_interactions, read_noise, write_noise
from tests.augrec.pipeline.audit.hand_made_run import write_run

TRUE, DRAWN = (
    "false interactions are none of the data's",
    "false interactions were drawn without a look at what is held out",
)


@pytest.fixture
def training(tmp_path: Path) -> TrainingFolder:
    """One that has half as many false interactions as there are true ones: of 11, five were drawn."""
    run = RunFolder(write_run(tmp_path / "run"))
    folder = run.training("main", 2)
    noise = false_interactions(Dataset.load(run.dataset), 0.5, 2)
    write_noise(folder.noise, noise.pairs)
    said = {"share": 0.5, "false": len(noise.pairs), "held_out": noise.held_out}
    write_json(folder.metrics, {"seed": 2, "noise": said})
    return folder


def found(training: TrainingFolder) -> dict[str, tuple[str, ...]]:
    folder = training.root.parents[2]
    checks = audit_noise(folder, read_split(RunFolder(folder).dataset))
    return {check.name: check.violations for check in checks}


def test_a_sound_training(training: TrainingFolder) -> None:
    assert found(training) == {TRUE: (), DRAWN: ()}
    folder = RunFolder(training.root.parents[2])
    rows = [check.rows for check in audit_noise(folder.root, read_split(folder.dataset))]
    assert rows == [len(read_noise(training.noise))] * 2


def test_every_seed_is_sound_whatever_is_left_out(training: TrainingFolder) -> None:
    folder = training.root.parents[2]
    dataset, left_out = Dataset.load(RunFolder(folder).dataset), 0
    for seed in range(20):
        noise = false_interactions(dataset, 0.9, seed)
        other = RunFolder(folder).training("other", seed)
        write_noise(other.noise, noise.pairs)
        said = {"share": 0.9, "false": len(noise.pairs), "held_out": noise.held_out}
        write_json(other.metrics, {"seed": seed, "noise": said})
        left_out += noise.held_out
    assert left_out > 10
    assert found(training) == {TRUE: (), DRAWN: ()}


def test_without_noise_nothing_is_said(training: TrainingFolder) -> None:
    training.noise.unlink()
    write_json(training.metrics, {"seed": 2})
    assert found(training) == {}


def test_a_held_out_pair_is_named(training: TrainingFolder) -> None:
    pairs = read_noise(training.noise)
    write_noise(training.noise, np.concatenate([pairs[:-1], [[0, 4]]]))
    violations = found(training)
    assert violations[TRUE] == ("main/seed-2: user 0, item 4 is in test",)
    assert violations[DRAWN] == ("main/seed-2: 1 that were not drawn, 1 that were and are not there",)


def test_one_that_was_put_in_the_place_of_a_held_out_one_is_named(training: TrainingFolder) -> None:
    pairs = read_noise(training.noise)
    free = next(pair for pair in ([4, item] for item in range(8)) if pair not in pairs.tolist())
    write_noise(training.noise, np.concatenate([pairs, [free]]))
    said = read_json(training.metrics)
    said["noise"]["false"] += 1
    write_json(training.metrics, said)
    problems = found(training)[DRAWN]
    assert problems[0] == "main/seed-2: 1 that were not drawn, 0 that were and are not there"


def test_another_seed_and_a_wrong_count_are_named(training: TrainingFolder) -> None:
    said = read_json(training.metrics)
    write_json(training.metrics, said | {"seed": 5})
    assert "that were not drawn" in found(training)[DRAWN][0]
    said["noise"]["false"] += 1
    write_json(training.metrics, said)
    assert "metrics.json counts" in found(training)[DRAWN][0]


def test_false_interactions_that_nobody_speaks_of_are_named(training: TrainingFolder) -> None:
    write_json(training.metrics, {"seed": 2})
    assert found(training)[DRAWN] == ("main/seed-2: there are false interactions, and metrics.json knows none",)


@pytest.mark.parametrize(("user", "item"), [(9, 0), (5, 0), (-1, 7), (0, 8), (4, -1)])
def test_somebody_who_does_not_exist_is_named(training: TrainingFolder, user: int, item: int) -> None:
    write_noise(training.noise, np.array([[user, item]]))
    assert found(training)[TRUE][0] == f"main/seed-2: user {user}, item {item} is nobody"


def test_false_interactions_that_are_not_there_are_missed(training: TrainingFolder) -> None:
    there = len(read_noise(training.noise))
    training.noise.unlink()
    (draw, count) = found(training)[DRAWN]
    assert draw == f"main/seed-2: 0 that were not drawn, {there} that were and are not there"
    assert f"metrics.json counts {there} and" in count
