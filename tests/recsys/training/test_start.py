"""Embeddings of one training as those that another one begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from augrec.artefacts.errors import DataError, UsageError
from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from recsys.models.build import build_model
from recsys.models.options.base import FamilyOptions
from recsys.models.options.ease import EaseOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.options.simgcl import SimGclOptions
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.seeds import seeded
from recsys.training.start import Start, read_start
from recsys.training.train import train

SMALL = LightGcnOptions(dim=8, layers=2)
USERS, ITEMS = [f"u{n}" for n in range(60)], [f"i{n}" for n in range(40)]


def run(dataset: Dataset, out: Path, start: Start | None = None, model: FamilyOptions = SMALL, **changes: Any) -> dict:
    training = TrainingOptions(epochs=3, batch_size=128, lr=0.02, threads=1, device="cpu", **changes)
    evaluation = EvaluationOptions(cutoffs=(5, 20))
    return train(dataset, model, SideInformation(), training, evaluation, 3, out, "v", "f", start=start)


def weights(folder: Path, **tables: np.ndarray) -> Path:
    save_file(
        {name: np.ascontiguousarray(table, np.float32) for name, table in tables.items()}, folder / "w.safetensors"
    )
    return folder / "w.safetensors"


def drawn(dataset: Dataset, seed: int = 3) -> dict[str, np.ndarray]:
    model = build_model(dataset, SideInformation(), SMALL, seeded(seed, "parameters"))
    return {name: tensor.detach().numpy().copy() for name, tensor in model.state_dict().items()}


def test_rows_go_to_whom_they_are_of(tmp_path: Path, tastes: Dataset) -> None:
    rng = np.random.default_rng(0)
    their_users, their_items = ["x", "u5", "u0", "y"], ["i9", "z"]
    table = {"user_embedding": rng.normal(size=(4, 8)), "item_embedding": rng.normal(size=(2, 8))}
    start = read_start(weights(tmp_path, **table), [their_users, their_items], [USERS, ITEMS])
    model = build_model(tastes, SideInformation(), SMALL, seeded(3, "parameters"))
    assert start.put_into(model, "lightgcn") == {"users": 2, "items": 1}
    before = drawn(tastes)
    for name, ids, theirs in (("user_embedding", USERS, their_users), ("item_embedding", ITEMS, their_items)):
        found = model.state_dict()[name].numpy()
        for row, source_id in enumerate(ids):
            known = source_id in theirs
            expected = table[name][theirs.index(source_id)] if known else before[name][row]
            np.testing.assert_array_equal(found[row], expected.astype(np.float32))


def test_to_start_from_what_the_seed_draws_changes_nothing(tmp_path: Path, tastes: Dataset) -> None:
    start = read_start(weights(tmp_path, **drawn(tastes)), [USERS, ITEMS], [USERS, ITEMS])
    plain, started = run(tastes, tmp_path / "plain"), run(tastes, tmp_path / "started", start)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("plain", "started"))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    assert plain["test"] == started["test"]
    assert started["start"] == {"users": 60, "items": 40}
    assert "start" not in plain


def test_a_trained_start_is_ahead_in_the_first_epoch(tmp_path: Path, tastes: Dataset) -> None:
    run(tastes, tmp_path / "before")
    start = read_start(tmp_path / "before" / "model.safetensors", [USERS, ITEMS], [USERS, ITEMS])
    first = [run(tastes, tmp_path / name, given)["history"][0] for name, given in (("cold", None), ("warm", start))]
    assert first[1]["loss"] < first[0]["loss"]
    assert "starts from" in (tmp_path / "warm" / "train.log").read_text()


def test_another_model_of_embeddings_starts_from_them_too(tmp_path: Path, tastes: Dataset) -> None:
    run(tastes, tmp_path / "before")
    start = read_start(tmp_path / "before" / "model.safetensors", [USERS, ITEMS], [USERS, ITEMS])
    assert run(tastes, tmp_path / "after", start, SimGclOptions(dim=8))["start"] == {"users": 60, "items": 40}


def test_a_killed_training_goes_on_and_does_not_start_again(tmp_path: Path, tastes: Dataset) -> None:
    start = read_start(weights(tmp_path, **drawn(tastes, 9)), [USERS, ITEMS], [USERS, ITEMS])
    whole = run(tastes, tmp_path / "whole", start)

    class Stop(Exception):
        pass

    class Ticker:
        def advance(self, amount: int = 1) -> None:
            raise Stop

        def note(self, text: str) -> None:
            pass

    training = TrainingOptions(epochs=3, batch_size=128, lr=0.02, threads=1, device="cpu", resume_minutes=0)
    rest = (EvaluationOptions(cutoffs=(5, 20)), 3, tmp_path / "killed", "v", "f")
    with pytest.raises(Stop):
        train(tastes, SMALL, SideInformation(), training, *rest, Ticker(), start=start)  # type: ignore[arg-type]
    again = train(tastes, SMALL, SideInformation(), training, *rest, start=start)
    assert again["test"] == whole["test"]


def test_what_has_no_embeddings_is_refused(tmp_path: Path, tastes: Dataset) -> None:
    start = read_start(weights(tmp_path, **drawn(tastes)), [USERS, ITEMS], [USERS, ITEMS])
    with pytest.raises(UsageError, match="the family ease has no embeddings"):
        run(tastes, tmp_path / "ease", start, EaseOptions())
    with pytest.raises(UsageError, match="embeddings of 8 numbers cannot begin a model of 16") as caught:
        run(tastes, tmp_path / "wide", start, LightGcnOptions(dim=16))
    assert "set the model's dim to 8" in str(caught.value)


def test_files_that_fit_nobody_are_named(tmp_path: Path) -> None:
    table = {"user_embedding": np.ones((2, 3)), "item_embedding": np.ones((2, 3))}
    path = weights(tmp_path, **table)
    with pytest.raises(DataError, match="none of the 60 users and 40 items is known"):
        read_start(path, [["a", "b"], ["c", "d"]], [USERS, ITEMS])
    with pytest.raises(DataError, match="2 rows for 3 ids"):
        read_start(path, [["a", "b", "c"], ["c", "d"]], [USERS, ITEMS])
    with pytest.raises(DataError, match="has no item embeddings to start from"):
        read_start(weights(tmp_path, user_embedding=np.ones((2, 3))), [["a", "b"], ["c"]], [USERS, ITEMS])
    path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match="cannot be read"):
        read_start(path, [["a"], ["b"]], [USERS, ITEMS])


def test_users_alone_may_be_known(tmp_path: Path, tastes: Dataset) -> None:
    table = {"user_embedding": np.ones((1, 8)), "item_embedding": np.ones((1, 8))}
    start = read_start(weights(tmp_path, **table), [["u7"], ["?"]], [USERS, ITEMS])
    model = build_model(tastes, SideInformation(), SMALL, seeded(3, "parameters"))
    assert start.put_into(model, "lightgcn") == {"users": 1, "items": 0}
    assert torch.equal(model.state_dict()["user_embedding"][7], torch.ones(8))
