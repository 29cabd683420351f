"""A model that is trained on false interactions too: who sees them, and who does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import TrainingFolder
from recsys.augmentation import SideInformation
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.data.noise import false_interactions, read_noise, with_false_interactions
from recsys.models.options.base import FamilyOptions
from recsys.models.options.blend import BlendOptions
from recsys.models.options.ease import EaseOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.training.restore import restore
from recsys.training.train import train

SMALL = LightGcnOptions(dim=8, layers=2)
NOTHING = SideInformation()


def run(dataset: Dataset, out: Path, noise: float, model: FamilyOptions = SMALL, seed: int = 3) -> dict[str, Any]:
    training = TrainingOptions(epochs=2, batch_size=128, lr=0.02, threads=1, device="cpu", noise=noise)
    evaluation = EvaluationOptions(cutoffs=(5, 20))
    return train(dataset, model, NOTHING, training, evaluation, seed, out, "variant", "fingerprint")


@pytest.mark.parametrize("model", [SMALL, EaseOptions(l2=5)], ids=["lightgcn", "ease"])
def test_it_is_the_training_on_the_larger_data(tastes: Dataset, tmp_path: Path, model: FamilyOptions) -> None:
    noise = false_interactions(tastes, 0.25, 3)
    noisy = run(tastes, tmp_path / "noisy", 0.25, model)
    larger = run(with_false_interactions(tastes, noise.pairs), tmp_path / "larger", 0.0, model)
    clean = run(tastes, tmp_path / "clean", 0.0, model)
    assert noisy["test"] == larger["test"] != clean["test"]
    assert noisy["noise"] == {"share": 0.25, "false": len(noise.pairs), "held_out": noise.held_out}
    assert len(noise.pairs) + noise.held_out == 120
    assert "noise" not in clean
    np.testing.assert_array_equal(read_noise(TrainingFolder(tmp_path / "noisy").noise), noise.pairs)
    assert not TrainingFolder(tmp_path / "clean").noise.exists()


def test_the_same_test_users_are_judged(tastes: Dataset, tmp_path: Path) -> None:
    noisy, clean = run(tastes, tmp_path / "noisy", 0.9), run(tastes, tmp_path / "clean", 0.0)
    assert noisy["n_test_users"] == clean["n_test_users"] == 60
    assert noisy["n_valid_users"] == clean["n_valid_users"] == 60


def test_seeds_of_a_closed_form_differ(tastes: Dataset, tmp_path: Path) -> None:
    one, other = (run(tastes, tmp_path / str(seed), 0.5, EaseOptions(l2=5), seed) for seed in (1, 2))
    assert one["test"] != other["test"]
    assert one["deterministic"] is False
    assert run(tastes, tmp_path / "clean", 0.0, EaseOptions(l2=5))["deterministic"] is True


def test_a_model_read_back_scores_as_it_was_judged(tastes: Dataset, tmp_path: Path) -> None:
    run(tastes, tmp_path, 0.5)
    noise = read_noise(TrainingFolder(tmp_path).noise)
    users = torch.arange(tastes.n_users)
    back = restore(tmp_path, tastes, SMALL, NOTHING).scores(Queries(users, "test"))
    TrainingFolder(tmp_path).noise.unlink()
    larger = restore(tmp_path, with_false_interactions(tastes, noise), SMALL, NOTHING).scores(Queries(users, "test"))
    clean = restore(tmp_path, tastes, SMALL, NOTHING).scores(Queries(users, "test"))
    torch.testing.assert_close(back, larger, rtol=0, atol=0)
    assert not torch.allclose(back, clean)


def test_a_blend_and_its_members_are_trained_on_the_same(tastes: Dataset, tmp_path: Path) -> None:
    blend = BlendOptions(members={"one": EaseOptions(l2=5), "other": EaseOptions(l2=50)})
    run(tastes, tmp_path / "blend", 0.5, blend)
    run(tastes, tmp_path / "alone", 0.5, EaseOptions(l2=5))
    member = TrainingFolder(tmp_path / "blend").member("one")
    assert read_json(member.metrics)["valid"] == read_json(TrainingFolder(tmp_path / "alone").metrics)["valid"]
    assert not member.noise.exists()  # the blend's file is theirs


def test_a_training_that_is_repeated_without_noise_leaves_none(tastes: Dataset, tmp_path: Path) -> None:
    run(tastes, tmp_path, 0.5)
    assert TrainingFolder(tmp_path).noise.exists()
    run(tastes, tmp_path, 0.0)
    assert not TrainingFolder(tmp_path).noise.exists()
