"""A model split over two processes is the model of one: parameters, losses, gradients, lists and files."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json, read_parquet
from augrec.artefacts.progress import Ticker
from recsys.augmentation import Edges, FeatureMatrix, SideInformation
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.evaluation.ranking import evaluate
from recsys.models.base import embedding_table
from recsys.models.lightgcn import LightGCN
from recsys.models.options.ease import EaseOptions
from recsys.models.options.gccf import GccfOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.options.llmrec import LLMRecOptions
from recsys.models.options.mf_bpr import MfBprOptions
from recsys.models.options.sgl import SglOptions
from recsys.models.options.simgcl import SimGclOptions
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.seeds import seeded
from recsys.training.distributed import Team
from recsys.training.launch import launch
from recsys.training.restore import restore
from recsys.training.sharded import model as sharded_model
from recsys.training.sharded.evaluation import evaluate_sharded
from recsys.training.sharded.graph import Ranges
from recsys.training.sharded.model import ShardedLightGCN, check_shardable
from recsys.training.train import train
from tests.recsys.killing import Killer

QUICK = TrainingOptions(epochs=4, batch_size=101, lr=0.02, threads=1, device="cpu")
SPLIT = {"processes": 2, "shard": True}
CUTOFFS = {"cutoffs": (5, 20, 30)}
CASES: dict[str, tuple[LightGcnOptions | MfBprOptions, dict[str, Any]]] = {
    "lightgcn": (LightGcnOptions(dim=8, layers=3), {}),
    "edges and decay": (LightGcnOptions(dim=8, layers=1, aug_sample_rate=0.5, l2_kind="norm"), {"weight_decay": 0.01}),
    "mf_bpr": (MfBprOptions(dim=8), {"sampler": "users"}),
}


def world() -> tuple[Dataset, SideInformation]:
    """Users of two tastes; low ids are popular, so that equal counts of rows would not be equal shares of edges."""
    rng = np.random.default_rng(5)
    parts: list[list[tuple[int, int]]] = [[], [], []]
    for user in range(60):
        weights = np.where(np.arange(40) % 2 == user % 2, 1.0, 0.05) / (1 + np.arange(40))
        items = rng.choice(40, size=8 + (user < 10) * 8, replace=False, p=weights / weights.sum())
        for part, chosen in zip(parts, np.split(items, [-4, -2]), strict=True):
            part.extend((user, int(item)) for item in chosen)
    users, weight = np.arange(60), rng.random(60)
    edges = Edges.from_arrays(users, *rng.integers(0, 40, (2, 60)), weight)
    return Dataset.from_arrays(60, 40, *(np.array(part) for part in parts)), SideInformation(edges=edges)


def run(out: Path, name: str, ticker: Ticker | None = None, **changes: Any) -> dict[str, Any]:
    options, own = CASES[name]
    dataset, side = world()
    training = QUICK.model_copy(update={**own, **changes})
    return train(dataset, options, side, training, EvaluationOptions(**CUTOFFS), 3, out / name, "v", "f", ticker)


def tied(model: ShardedLightGCN | LightGCN) -> None:
    """Makes the scores of many items equal."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter * 6).round() / 2)


def killed_in_the_middle(out: Path) -> None:
    with suppress(KeyboardInterrupt):
        run(out, "lightgcn", resume_minutes=0.0, **SPLIT, ticker=Killer(2))


def as_rank(out: Path, ticker: Any) -> None:
    for name in CASES:
        run(out / "split", name, **SPLIT)
    killed_in_the_middle(out / "resumed")
    left = sorted(path.name for path in (out / "resumed" / "lightgcn").glob("unfinished*"))
    run(out / "resumed", "lightgcn", resume_minutes=0.0, **SPLIT)
    team = Team(int(os.environ["RANK"]), 2)
    dataset, _ = world()
    model = ShardedLightGCN(dataset, LightGcnOptions(dim=4, layers=0), seeded(1, "parameters"), team)
    tied(model)
    result = evaluate_sharded(model, dataset, "test", mask_valid_at_test=True, chunk=7, **CUTOFFS)
    rows = [model.layout.rows(rank) for rank in (0, 1)]
    if team.main:
        np.savez(out / "ties.npz", rows=rows, left=left, first_rank=result.first_rank, **result.per_user)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sharded")
    launch(as_rank, (out,), processes=2, device="cpu", threads=1)
    for name in CASES:
        run(out / "whole", name)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_halves_train_what_the_whole_trains(trained: Path, name: str) -> None:
    whole, split = (read_json(trained / which / name / "metrics.json") for which in ("whole", "split"))
    assert (whole["best_epoch"], whole["epochs"]) == (split["best_epoch"], split["epochs"])
    assert whole["parameters"] == split["parameters"]
    assert whole["history"][0]["terms"] == pytest.approx(split["history"][0]["terms"], rel=1e-6)
    for left, right in zip(whole["history"], split["history"], strict=True):
        assert left["terms"] == pytest.approx(right["terms"], rel=1e-5)
        assert left["valid"] == pytest.approx(right["valid"], abs=1e-12)
    assert whole["test"] == pytest.approx(split["test"], abs=1e-12)
    tables = [read_parquet(trained / which / name / "per_user.parquet") for which in ("whole", "split")]
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize("name", CASES)
def test_the_checkpoint_is_an_ordinary_one(trained: Path, name: str) -> None:
    whole, split = (load_file(trained / which / name / "model.safetensors") for which in ("whole", "split"))
    assert whole.keys() == split.keys()
    for key, tensor in whole.items():
        assert torch.allclose(tensor, split[key], atol=1e-5), key
    dataset, side = world()
    model = restore(trained / "split" / name, dataset, CASES[name][0], side)
    again = evaluate(model.scorer("test"), dataset, "test", mask_valid_at_test=True, **CUTOFFS)
    assert again.mean == pytest.approx(read_json(trained / "split" / name / "metrics.json")["test"], abs=1e-12)


def test_a_killed_training_goes_on_from_the_snapshots_of_all(trained: Path) -> None:
    whole, cut = (load_file(trained / which / "lightgcn" / "model.safetensors") for which in ("split", "resumed"))
    assert all(torch.equal(whole[key], cut[key]) for key in whole)
    log = (trained / "resumed" / "lightgcn" / "train.log").read_text()
    assert "going on after epoch 2" in log
    left = np.load(trained / "ties.npz")["left"].tolist()
    assert left == [f"unfinished-2-{rank}-of-2.safetensors" for rank in (0, 1)], "older ones are gone"
    assert not list((trained / "resumed" / "lightgcn").glob("unfinished*"))


def test_ties_across_blocks_of_items_are_broken_as_in_the_whole(trained: Path) -> None:
    dataset, _ = world()
    options = LightGcnOptions(dim=4, layers=0, l2=0, l2_kind="norm")
    whole = LightGCN(dataset.train, 60, 40, options, seeded(1, "parameters"))
    tied(whole)
    scores = whole.eval().scores(Queries(torch.arange(60)))
    assert all(len(row.unique()) < 20 for row in scores), "the test needs ties"
    expected = evaluate(whole.scorer("test"), dataset, "test", mask_valid_at_test=True, **CUTOFFS)
    found = np.load(trained / "ties.npz")
    assert np.array_equal(found["first_rank"], expected.first_rank)
    for name, values in expected.per_user.items():
        assert np.array_equal(found[name], values, equal_nan=True), name


def test_no_process_holds_much_more_than_half(trained: Path) -> None:
    rows = np.load(trained / "ties.npz")["rows"]
    assert rows.sum() == 100
    assert rows.max() < 75


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", ["even", "popular first", "one giant", "nobody"])
def test_ranges_cover_all_rows_and_share_rows_and_edges(size: int, kind: str) -> None:
    degree = {
        "even": np.full(700, 3),
        "popular first": (10000 / (1 + np.arange(700))).astype(int),
        "one giant": np.where(np.arange(700) == 5, 10**6, 1),
        "nobody": np.zeros(700, dtype=int),
    }[kind]
    ranges = Ranges.balanced(degree, size)
    assert ranges.bounds[0] == 0
    assert ranges.bounds[-1] == 700
    counts = np.array([ranges.count(rank) for rank in range(size)])
    assert counts.min() >= 1
    assert counts.max() <= 2 * 700 / size + 1
    for rank in range(size):
        begin, end = ranges.of(rank)
        assert degree[begin:end].sum() <= 2 * degree.sum() / size + degree.max()


def test_as_many_rows_as_processes_are_one_each_and_fewer_are_refused() -> None:
    assert Ranges.balanced(np.array([9, 0, 0]), 3).bounds.tolist() == [0, 1, 2, 3]
    assert Ranges.balanced(np.array([0, 0, 9]), 3).bounds.tolist() == [0, 1, 2, 3]
    with pytest.raises(UsageError, match="2 rows cannot be split over 3"):
        Ranges.balanced(np.array([1, 1]), 3)


def test_the_parts_of_a_table_are_drawn_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharded_model, "ROWS_PER_DRAW", 7)
    ranges = Ranges.balanced(np.arange(50), 3)
    whole_generator = seeded(4, "parameters")
    whole = [embedding_table(50, 5, whole_generator) for _ in range(2)]
    for rank in range(3):
        generator = seeded(4, "parameters")
        for table in whole:
            part = sharded_model.rows_of_table(ranges, rank, 5, generator)
            assert torch.equal(part, table[slice(*ranges.of(rank))])


@pytest.mark.parametrize(
    ("options", "processes", "text"),
    [
        (LLMRecOptions(), 2, "family llmrec cannot be split"),
        (LightGcnOptions.model_validate({"side": {"profile": 0.5}}), 2, "side features cannot be split"),
        (LightGcnOptions.model_validate({"aligner": {"kind": "con"}}), 2, "an aligner cannot be split"),
        (LightGcnOptions(edge_keep=0.9), 2, "edge_keep: 0.9 cannot be split"),
        (LightGcnOptions(pooling="sum"), 2, "pooling: sum cannot be split"),
        (LightGcnOptions(l2_kind="all"), 2, "l2_kind: all cannot be split"),
        (GccfOptions(), 2, "family gccf cannot be split"),
        (SglOptions(), 2, "family sgl cannot be split"),
        (SimGclOptions(), 2, "family simgcl cannot be split"),
        (LightGcnOptions(), 1, "one process has nobody to share with"),
    ],
)
def test_what_cannot_be_split_is_said_before_anything_starts(
    tmp_path: Path, options: Any, processes: int, text: str
) -> None:
    dataset, _ = world()
    side = SideInformation(user={"profile": FeatureMatrix.from_dense(np.ones((60, 2)))})
    training = QUICK.model_copy(update={"shard": True, "processes": processes})
    with pytest.raises(UsageError, match=text):
        train(dataset, options, side, training, EvaluationOptions(**CUTOFFS), 3, tmp_path / "out", "v", "f")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match=text):
        check_shardable(options, processes)


def test_a_closed_form_is_fitted_in_one_process_whatever_is_asked(tmp_path: Path) -> None:
    dataset, side = world()
    training = QUICK.model_copy(update=SPLIT)
    metrics = train(dataset, EaseOptions(l2=5.0), side, training, EvaluationOptions(**CUTOFFS), 3, tmp_path, "v", "f")
    assert metrics["processes"] == 1
