"""MF-BPR's single steps against LearnBPR in plain Python and float64, and trainings that consist of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from augrec.artefacts.errors import UsageError
from recsys.augmentation import SideInformation
from recsys.batches.single_triplets import DrawnTriplets, SingleTriplets
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.models.mf_bpr_sgd import MfBprSgd
from recsys.models.options.mf_bpr_sgd import MfBprSgdOptions, check_steps
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.seeds import seeded
from recsys.training.train import train
from tests.recsys.killing import Killer

USERS, ITEMS, DIM, RATE, L2 = 9, 8, 21, 0.3, 0.07


@pytest.fixture
def model() -> MfBprSgd:
    model = MfBprSgd(USERS, ITEMS, dim=DIM, l2=L2, generator=seeded(1, "parameters")).train()
    model.learning_rate = RATE
    with torch.no_grad():
        model.item_bias.copy_(torch.linspace(-0.5, 0.5, ITEMS))
    return model


def drawn(size: int) -> DrawnTriplets:
    edges = np.argwhere(np.random.default_rng(2).random((USERS, ITEMS)) < 0.4)
    return SingleTriplets(edges, USERS, ITEMS, seeded(1, "sampler")).drawn(size)


def test_steps_are_those_of_learn_bpr_in_float64(model: MfBprSgd) -> None:
    batch = drawn(400)
    p, q, bias = (table.detach().double().tolist() for table in model.parameters())
    losses = []
    for u, i, j in zip(batch.user.tolist(), batch.positive.tolist(), batch.negative.tolist(), strict=True):
        x = sum(a * (b - c) for a, b, c in zip(p[u], q[i], q[j], strict=True)) + bias[i] - bias[j]
        z = 1 / (1 + math.exp(x))
        losses.append(math.log(1 + math.exp(-x)))
        of_user, of_positive, of_negative = list(p[u]), list(q[i]), list(q[j])
        for k in range(DIM):
            p[u][k] += RATE * (z * (of_positive[k] - of_negative[k]) - L2 * of_user[k])
            q[i][k] += RATE * (z * of_user[k] - L2 * of_positive[k])
            q[j][k] += RATE * (-z * of_user[k] - L2 * of_negative[k])
        bias[i] += RATE * (z - L2 * bias[i])
        bias[j] += RATE * (-z - L2 * bias[j])
    loss = model.loss(batch)["bpr"]
    assert min(losses) < 0.4 < 0.8 < max(losses)  # x of both signs
    assert loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    for table, expected in zip(model.parameters(), (p, q, bias), strict=True):
        np.testing.assert_allclose(table.detach().numpy(), expected, atol=2e-5)
    loss.backward()
    assert [table.grad for table in model.parameters()] == [None] * 3  # an optimiser would move them once more


def test_a_step_is_that_of_plain_gradient_descent_on_the_loss_of_its_triplet(model: MfBprSgd) -> None:
    batch = drawn(1)
    parts = (torch.from_numpy(part).long() for part in (batch.user, batch.positive, batch.negative))
    torch.stack(list(model.loss(Triplets(*parts, None, 1)).values())).sum().backward()
    expected = [(table - RATE * table.grad).detach() for table in model.parameters() if table.grad is not None]
    model.loss(batch)
    for table, wanted in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(table.detach(), wanted)


def trained(dataset: Dataset, out: Path, ticker: Any = None, **changes: Any) -> dict[str, Any]:
    options = MfBprSgdOptions.model_validate({"dim": 8, "training": {"lr": 0.1, **changes}})
    training = TrainingOptions(epochs=6, lr=0.5, weight_decay=0.0, threads=1, device="cpu", resume_minutes=0)
    rest = EvaluationOptions(cutoffs=(5, 20)), 3, out, "v", "f", ticker
    return train(dataset, options, SideInformation(), training, *rest)


def test_a_killed_training_ends_as_one_that_was_not_and_learns_the_tastes(tmp_path: Path, tastes: Dataset) -> None:
    whole = trained(tastes, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tastes, tmp_path / "killed", Killer(3))
    again = trained(tastes, tmp_path / "killed")
    assert "going on after epoch 3" in (tmp_path / "killed" / "train.log").read_text()
    assert "training.batch_size and Adam have no part" in (tmp_path / "whole" / "train.log").read_text()
    assert (again["test"], again["best_epoch"]) == (whole["test"], whole["best_epoch"])
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert [set(epoch["terms"]) for epoch in whole["history"]] == [{"bpr"}] * 6
    losses = [epoch["loss"] for epoch in whole["history"]]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] < math.log(2) + 0.01  # what embeddings near zero give
    assert whole["test"]["recall@5"] > 0.25  # at random 0.16


@pytest.mark.parametrize(
    ("name", "given"),
    [("optimiser", "adamw"), ("weight_decay", 0.1), ("sampler", "users"), ("processes", 2)],
)
def test_what_steps_cannot_do_is_refused_by_name_and_the_remedy_does(name: str, given: Any) -> None:
    with pytest.raises(UsageError, match=f"mf_bpr_sgd cannot have {name}") as caught:
        check_steps(TrainingOptions.model_validate({name: given}))
    assert caught.value.where == f"training.{name}"
    assert f"{name}: {TrainingOptions.model_fields[name].default}" in str(caught.value.remedy)
    check_steps(TrainingOptions())


def test_the_rate_is_the_models_own_unless_given() -> None:
    for given, rate in (({}, 0.05), ({"training": {"epochs": 5}}, 0.05), ({"training": {"lr": 0.1}}, 0.1)):
        own = MfBprSgdOptions.model_validate(given).training
        assert own is not None
        assert own.applied_to(TrainingOptions(lr=0.3)).lr == rate
