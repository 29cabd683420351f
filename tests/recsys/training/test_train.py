from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.files import read_json, read_parquet
from augrec.artefacts.metrics import Metric
from recsys.augmentation import Edges, FeatureMatrix, SideInformation
from recsys.batches.triplets import BprSampler
from recsys.data.dataset import Dataset
from recsys.data.sealed import SealedSplit
from recsys.models.base import Fitted
from recsys.models.build import build_model
from recsys.models.lightgcn import LightGCN
from recsys.models.options.base import FamilyOptions
from recsys.models.options.ease import EaseOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.options.mf_bpr import MfBprOptions
from recsys.models.options.popularity import PopularityOptions
from recsys.models.registry import FAMILIES
from recsys.options import EvaluationOptions, Judged, TrainingOptions
from recsys.seeds import seeded
from recsys.training import judge as judge_module
from recsys.training import train as train_module
from recsys.training.early_stopping import Selection
from recsys.training.job import FitJob
from recsys.training.optimise import optimise
from recsys.training.train import train
from tests.kit.families import families
from tests.kit.toy_attributes import genres_of_two_tastes
from tests.recsys.killing import Killer

QUICK = TrainingOptions(epochs=4, batch_size=128, lr=0.02, threads=1, device="cpu")
CUTOFFS = EvaluationOptions(cutoffs=(5, 20))
SMALL = LightGcnOptions(dim=8, layers=2)
CLOSED = ("popularity", "item_knn", "rp3beta", "ease", "ease_text", "l3ae", "text_cosine", "blend", "tuned")


def features(rows: int, dim: int = 6, seed: int = 0) -> FeatureMatrix:
    return FeatureMatrix.from_dense(np.random.default_rng(seed).normal(size=(rows, dim)))


@pytest.fixture
def side() -> SideInformation:
    rng = np.random.default_rng(9)
    return SideInformation(
        edges=Edges.from_arrays(np.arange(60), *rng.integers(0, 40, (2, 60))),
        user={"profile": features(60)},
        item={"text": features(40)},
        attributes={"title": features(40, seed=1), "genres": features(40, seed=2)},
        nodes=genres_of_two_tastes(),
    )


def run(
    dataset: Dataset, out: Path, model: FamilyOptions = SMALL, side: SideInformation | None = None, **changes: Any
) -> dict[str, Any]:
    ticker = changes.pop("ticker", None)
    training = QUICK.model_copy(update=changes)
    side = side or SideInformation()
    return train(dataset, model, side, training, CUTOFFS, 3, out, "variant", "fingerprint", ticker)


def timeless(metrics: dict[str, Any]) -> dict[str, Any]:
    """metrics.json without what may differ between two runs of the same training."""
    measured = ("seconds", "seconds_per_epoch", "peak_memory_mb", "energy_joules")
    kept = {name: value for name, value in metrics.items() if name not in measured}
    history = [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in kept["history"]]
    return {**kept, "history": history}


def test_a_finished_training_leaves_four_files_that_agree(tastes: Dataset, tmp_path: Path) -> None:
    metrics = run(tastes, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "metrics.json",
        "model.safetensors",
        "per_user.parquet",
        "train.log",
    ]
    assert read_json(tmp_path / "metrics.json") == json.loads(json.dumps(metrics))
    table = read_parquet(tmp_path / "per_user.parquet")
    assert table["user"].to_pylist() == list(range(60))
    assert table["recall@20"].to_numpy().mean() == pytest.approx(metrics["test"]["recall@20"], rel=1e-12)
    state = load_file(tmp_path / "model.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        "user_embedding": (60, 8),
        "item_embedding": (40, 8),
    }
    assert metrics["parameters"] == 100 * 8
    assert (metrics["n_test_users"], metrics["n_valid_users"], metrics["device"]) == (60, 60, "cpu")
    assert [epoch["epoch"] for epoch in metrics["history"]] == [1, 2, 3, 4]
    for epoch in metrics["history"]:
        assert epoch["loss"] == pytest.approx(math.fsum(epoch["terms"].values()))
        assert set(epoch["terms"]) == {"bpr", "l2"}
    assert metrics["valid"] == metrics["history"][metrics["best_epoch"] - 1]["valid"]
    assert "epoch 4  loss" in (tmp_path / "train.log").read_text()


@pytest.mark.parametrize("name", families(Judged.RANKING))
def test_every_family_trains_repeatably_and_beats_chance(
    tastes: Dataset, side: SideInformation, tmp_path: Path, name: str
) -> None:
    options = FAMILIES[name].options()
    first, second = (run(tastes, tmp_path / str(i), options, side, epochs=8) for i in (1, 2))
    assert timeless(first) == timeless(second)
    first_users, second_users = (read_parquet(tmp_path / str(i) / "per_user.parquet") for i in (1, 2))
    assert first_users.equals(second_users)
    # 12 candidates of one's own taste among 32; 5 of 32 at random would find 0.16 of the two test items
    # popularity is the same for both tastes, and the cosine of drawn vectors says nothing: it is told taste elsewhere
    assert first["test"]["recall@5"] > (0.1 if name in ("popularity", "text_cosine") else 0.25)


@pytest.mark.parametrize("name", [name for name in families(Judged.RANKING) if name not in CLOSED])
def test_every_parameter_is_registered_and_gets_a_gradient(tastes: Dataset, side: SideInformation, name: str) -> None:
    model = build_model(tastes, side, FAMILIES[name].options(), seeded(0, "parameters"))
    sampler = BprSampler(tastes.train, 60, 40, batch_size=512, generator=seeded(0, "sampler"))
    batch = next(iter(sampler.epoch()))
    for objective in model.objectives():
        sum(objective(batch).values()).backward()
    registered = {id(parameter) for parameter in model.parameters()}
    for module in model.modules():
        for key, value in vars(module).items():
            if isinstance(value, torch.Tensor) and value.requires_grad and value.is_leaf:
                assert id(value) in registered, f"{key} is no parameter"
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


def test_variants_start_alike_and_see_the_same_interactions(tastes: Dataset, side: SideInformation) -> None:
    batches, tables = [], []
    for options, given in ((SMALL, SideInformation()), (SMALL.model_copy(update={"aug_sample_rate": 0.5}), side)):
        model = build_model(tastes, given, options, seeded(3, "parameters"))
        tables.append(model.user_embedding.detach())
        sampler = BprSampler(tastes.train, 60, 40, batch_size=64, generator=seeded(3, "sampler"))
        batches.append([torch.stack([b.user, b.positive, b.negative]) for b in sampler.epoch()])
    assert torch.equal(*tables)
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))


def test_suggested_edges_change_a_training_only_when_asked_for(
    tastes: Dataset, side: SideInformation, tmp_path: Path
) -> None:
    plain = run(tastes, tmp_path / "plain")
    unasked = run(tastes, tmp_path / "unasked", side=side)
    mixed = run(tastes, tmp_path / "mixed", SMALL.model_copy(update={"aug_sample_rate": 0.5}), side)
    assert timeless(plain) == timeless(unasked)
    assert mixed["history"] != plain["history"]
    assert "60 suggested triplets, 0 of them ignored" in (tmp_path / "mixed" / "train.log").read_text()


def test_selection_wants_strict_improvement_and_restores_a_copy() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    selection = Selection(patience=2, metric=Metric.parse("recall@20"))
    for epoch, value in enumerate((0.1, 0.3, 0.3, 0.2), start=1):
        torch.nn.init.constant_(model.weight, epoch)
        assert not selection.exhausted
        selection.offer(value, epoch, model)
    assert selection.exhausted
    assert (selection.best, selection.best_epoch) == (0.3, 2)
    assert selection.state["weight"].item() == 2.0


def test_training_stops_after_patience_and_tests_the_best_state(
    tastes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monitor is scripted; the state that is kept must be the one of the scripted peak."""
    script = iter([0.2, 0.5, 0.4, 0.5, 0.3])
    states = []

    def scripted(model: LightGCN, job: FitJob) -> Fitted:
        def validate() -> dict[str, float]:
            states.append(model.user_embedding.detach().clone())
            return {"recall@20": next(script)}

        return optimise(model, replace(job, validate=validate))

    monkeypatch.setattr(train_module, "optimise", scripted)
    metrics = run(tastes, tmp_path, epochs=50, patience=3)
    assert (metrics["best_epoch"], metrics["epochs"]) == (2, 5)
    assert torch.equal(load_file(tmp_path / "model.safetensors")["user_embedding"], states[1])


def test_the_test_split_is_not_looked_at_before_the_epoch_is_chosen(
    tastes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = []

    def optimise_sealed(model: LightGCN, job: FitJob) -> Fitted:
        with pytest.raises(SealedSplit):
            len(job.dataset.test)
        with pytest.raises(SealedSplit):
            job.dataset.pairs("test")
        fitted = optimise(model, job)
        chosen.append(fitted.best_epoch)
        return fitted

    splits = []
    judge = judge_module.evaluate

    def counting(scores: Any, dataset: Dataset, split: str, **rest: Any) -> Any:
        splits.append(split)
        return judge(scores, dataset, split, **rest)

    monkeypatch.setattr(train_module, "optimise", optimise_sealed)
    monkeypatch.setattr(judge_module, "evaluate", counting)
    run(tastes, tmp_path)
    assert chosen
    assert splits.count("test") == 1
    assert splits[-1] == "test"


@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_killed_training_goes_on_as_if_it_had_never_stopped(
    tastes: Dataset, side: SideInformation, tmp_path: Path, stop_after: int
) -> None:
    options = SMALL.model_copy(update={"aug_sample_rate": 0.3})
    whole = run(tastes, tmp_path / "whole", options, side, resume_minutes=0.0, epochs=5)
    with pytest.raises(KeyboardInterrupt):
        run(tastes, tmp_path / "cut", options, side, resume_minutes=0.0, epochs=5, ticker=Killer(stop_after))
    assert not (tmp_path / "cut" / "metrics.json").exists()
    resumed = run(tastes, tmp_path / "cut", options, side, resume_minutes=0.0, epochs=5)
    assert f"going on after epoch {stop_after}" in (tmp_path / "cut" / "train.log").read_text()
    assert timeless(resumed) == timeless(whole)
    assert not list((tmp_path / "cut").glob("unfinished*"))
    left, right = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_snapshot_of_other_settings_or_a_torn_one_is_not_used(tastes: Dataset, tmp_path: Path) -> None:
    fresh = run(tastes, tmp_path / "fresh", lr=0.01)
    with pytest.raises(KeyboardInterrupt):
        run(tastes, tmp_path / "other", resume_minutes=0.0, ticker=Killer(1))
    assert (tmp_path / "other" / "unfinished.safetensors").exists()
    assert timeless(run(tastes, tmp_path / "other", lr=0.01)) == timeless(fresh)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "unfinished.safetensors").write_bytes(b"\x10\0\0")
    assert timeless(run(tastes, tmp_path / "torn", lr=0.01)) == timeless(fresh)


def test_a_diverging_loss_names_the_epoch_and_the_remedy(
    tastes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = LightGCN.loss
    monkeypatch.setattr(LightGCN, "loss", lambda self, batch: {**loss(self, batch), "bpr": torch.tensor(torch.nan)})
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(AugrecError, match=r"epoch 1 \(term bpr\)\n  remedy: lower training.lr"):
        run(tastes, tmp_path)
    assert not (tmp_path / "metrics.json").exists(), "an earlier result must not pass for this one"


def test_data_without_validation_can_fit_but_not_select(tastes: Dataset, tmp_path: Path) -> None:
    empty = np.zeros((0, 2), dtype=np.int64)
    dataset = Dataset.from_arrays(60, 40, tastes.train, empty, tastes.test)
    with pytest.raises(DataError, match="no validation interaction"):
        run(dataset, tmp_path / "trained")
    metrics = run(dataset, tmp_path / "closed", EaseOptions(l2=5.0))
    assert (metrics["valid"], metrics["n_valid_users"], metrics["history"]) == ({}, 0, [])


def test_evaluations_are_spaced_but_the_last_epoch_is_always_judged(tastes: Dataset, tmp_path: Path) -> None:
    metrics = run(tastes, tmp_path, epochs=5, evaluate_every=2)
    assert [bool(epoch["valid"]) for epoch in metrics["history"]] == [False, True, False, True, True]


def test_users_without_test_items_have_no_value(tastes: Dataset, tmp_path: Path) -> None:
    kept = tastes.test[tastes.test[:, 0] != 11]
    dataset = Dataset.from_arrays(60, 40, tastes.train, tastes.valid, kept)
    metrics = run(dataset, tmp_path, PopularityOptions())
    values = read_parquet(tmp_path / "per_user.parquet")["ndcg@5"].to_numpy()
    assert np.flatnonzero(np.isnan(values)).tolist() == [11]
    assert metrics["n_test_users"] == 59


def test_a_models_own_training_options_win(tastes: Dataset, tmp_path: Path) -> None:
    model = MfBprOptions.model_validate({"dim": 4, "training": {"epochs": 2, "keep_checkpoint": False}})
    assert run(tastes, tmp_path, model)["epochs"] == 2
    assert not (tmp_path / "model.safetensors").exists()


def test_both_samplers_optimisers_and_bf16_train(tastes: Dataset, tmp_path: Path) -> None:
    results = [
        run(tastes, tmp_path / str(number), **changes)["history"][-1]["loss"]
        for number, changes in enumerate(({}, {"sampler": "users"}, {"optimiser": "adamw"}, {"precision": "bf16"}))
    ]
    assert all(0 < loss < 0.69 for loss in results)


def test_nothing_global_is_left_changed(tastes: Dataset, tmp_path: Path) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    run(tastes, tmp_path, threads=threads + 1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU that is not there")
def test_a_missing_device_is_named(tastes: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"training.device is cuda:1"):
        run(tastes, tmp_path, device="cuda:1")


def test_the_ticker_moves_once_per_epoch(tastes: Dataset, tmp_path: Path) -> None:
    class Counter:
        done = 0
        said = ""

        def advance(self, done: int = 1) -> None:
            self.done += done

        def note(self, text: str) -> None:
            self.said = text

    counter = Counter()
    train(tastes, SMALL, SideInformation(), QUICK, CUTOFFS, 3, tmp_path, "v", "f", counter)
    assert counter.done == 4
    assert "recall@20" in counter.said


@pytest.mark.parametrize("family", families(Judged.RANKING))
def test_a_training_that_calls_itself_deterministic_gives_the_same_with_every_seed(
    tastes: Dataset, side: SideInformation, tmp_path: Path, family: str
) -> None:
    members = {"members": {"pop": {"family": "popularity"}, "ease": {"family": "ease"}}} if family == "blend" else {}
    model = FAMILIES[family].options.model_validate({"family": family, **members})
    training = QUICK.model_copy(update={"epochs": 1})
    found = [
        train(tastes, model, side, training, CUTOFFS, seed, tmp_path / str(seed), "variant", "fingerprint")
        for seed in (3, 4)
    ]
    assert [metrics["deterministic"] for metrics in found] == [family in CLOSED] * 2
    if family in CLOSED:
        assert found[0]["test"] == found[1]["test"]


@pytest.mark.parametrize("member", ["popularity", "lightgcn"])
def test_what_is_drawn_for_a_closed_form_or_within_a_blend_is_not_deterministic(
    tastes: Dataset, side: SideInformation, tmp_path: Path, member: str
) -> None:
    assert not run(tastes, tmp_path / "a", EaseOptions(l2=5.0), replace(side, drawn=True))["deterministic"]
    members = {"one": {"family": member}, "two": {"family": "ease"}}
    blend = FAMILIES["blend"].options.model_validate({"family": "blend", "members": members})
    assert run(tastes, tmp_path / "b", blend, epochs=1)["deterministic"] == (member == "popularity")
