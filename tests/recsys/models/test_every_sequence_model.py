"""What holds for every family of models that are judged by the next item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, read_parquet
from recsys.augmentation import Insertions, SideInformation
from recsys.batches.base import Batch, Queries
from recsys.data.dataset import Dataset
from recsys.evaluation.next_item import evaluate_next_item
from recsys.models.base import TrainedRecommender
from recsys.models.build import build_model
from recsys.models.options.base import FamilyOptions
from recsys.models.registry import FAMILIES
from recsys.options import EvaluationOptions, Judged, TrainingOptions
from recsys.seeds import seeded
from recsys.training.job import FitJob
from recsys.training.launch import launch
from recsys.training.restore import restore
from recsys.training.train import train
from tests.kit.families import learning
from tests.recsys.models.sequence_reference import N_ITEMS, cycles

EVERY = learning(Judged.NEXT_ITEM)
USERS = 24
QUICK = TrainingOptions(
    epochs=120, batch_size=7, lr=0.01, threads=1, device="cpu", monitor="ndcg@5", patience=6, evaluate_every=5
)

SLOWER: dict[str, dict[str, object]] = {"bert4rec": {"lr": 0.003, "epochs": 300, "patience": 300}}
"""A norm behind every sum bears no large steps, and a window teaches only what is hidden in it."""


def options(name: str, **changes: object) -> FamilyOptions:
    return FAMILIES[name].options.model_validate({"family": name, "dim": 16, "length": 6, **changes})


def built(name: str, data: Dataset, seed: int = 0, **changes: object) -> TrainedRecommender:
    model = build_model(data, SideInformation(), options(name, **changes), seeded(seed, "parameters"))
    assert isinstance(model, TrainedRecommender)
    return model.eval()


def run(
    out: Path,
    model: FamilyOptions,
    side: SideInformation | None = None,
    data: Dataset | None = None,
    **changes: object,
) -> dict[str, Any]:
    training, cutoffs = QUICK.model_copy(update=changes), EvaluationOptions(cutoffs=(1, 5))
    return train(data or cycles(), model, side or SideInformation(), training, cutoffs, 3, out, "variant", "print")


def first_batches(
    monkeypatch: pytest.MonkeyPatch, out: Path, model: FamilyOptions, side: SideInformation | None = None
) -> list[Batch]:
    """What the steps of the first epoch of a training see."""
    seen: list[Batch] = []
    kind = FAMILIES[model.family].model_class()
    batches = kind.batches

    class Watched:
        def __init__(self, inner: Any) -> None:
            self.inner, self.notes = inner, inner.notes

        def epoch(self) -> Any:
            for batch in self.inner.epoch():
                seen.append(batch)
                yield batch

    def watched(self: Any, job: FitJob) -> Watched:
        return Watched(batches(self, job))

    with monkeypatch.context() as patch:
        patch.setattr(kind, "batches", watched)
        run(out, model, side, epochs=1)
    return seen


def scores(model: TrainedRecommender, split: str = "valid") -> Tensor:
    return model.scores(Queries(torch.arange(USERS), split))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EVERY)
def test_scores_are_finite_repeatable_and_the_same_in_any_company(name: str) -> None:
    model, again = (built(name, cycles()) for _ in range(2))
    first = scores(model)
    assert first.dtype == torch.float32
    assert first.shape == (USERS, N_ITEMS)
    assert torch.isfinite(first).all()
    assert torch.equal(first, scores(again))
    users = torch.tensor([7, 2, 2, 0])
    torch.testing.assert_close(model.scores(Queries(users)), first[users], rtol=1e-5, atol=1e-6)
    results = [
        evaluate_next_item(model.scorer("test"), cycles(), "test", cutoffs=(1, 5), chunk=chunk) for chunk in (1, 5, 99)
    ]
    for metric, values in results[0].per_user.items():
        for other in results[1:]:
            np.testing.assert_array_equal(values, other.per_user[metric], err_msg=metric)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("split", ["valid", "test"])
def test_embeddings_give_the_scores(name: str, split: str) -> None:
    model = built(name, cycles())
    users, items = model.embeddings(split)  # type: ignore[arg-type]
    assert users.dtype == items.dtype == torch.float32
    assert not users.requires_grad
    assert not items.requires_grad
    torch.testing.assert_close(users @ items.T, scores(model, split), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_the_item_of_validation_is_known_at_test_alone(name: str) -> None:
    data = cycles()
    moved = data.valid.copy()
    moved[:, 1] = (moved[:, 1] + 3) % N_ITEMS
    times = [data.timestamps(split) for split in ("train", "valid", "test")]
    other = Dataset.from_arrays(USERS, N_ITEMS, data.train, moved, data.test[:0], timestamps=[*times[:2], times[2][:0]])
    plain, changed = built(name, data), built(name, other)
    assert torch.equal(scores(plain), scores(changed))
    assert not torch.allclose(scores(plain, "test"), scores(changed, "test"))


@pytest.mark.parametrize("name", EVERY)
def test_other_ids_give_the_same_scores_under_the_other_ids(name: str) -> None:
    data, rng = cycles(), np.random.default_rng(8)
    user, item = rng.permutation(USERS), rng.permutation(N_ITEMS)  # new id of each old one
    splits = ("train", "valid", "test")
    parts = [np.stack([user[pairs[:, 0]], item[pairs[:, 1]]], 1) for pairs in map(data.pairs, splits)]
    other = Dataset.from_arrays(USERS, N_ITEMS, *parts, timestamps=[data.timestamps(split) for split in splits])
    model, renamed = built(name, data), built(name, other)
    old = np.argsort(item)
    state = {key: value[old] if len(value) == N_ITEMS else value for key, value in model.state_dict().items()}
    renamed.load_state_dict(state)
    torch.testing.assert_close(scores(renamed)[user][:, item], scores(model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_a_saved_model_scores_as_before(name: str, tmp_path: Path) -> None:
    data = cycles()
    model = built(name, data)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.rand(parameter.shape, generator=seeded(0, "noise")))
    assert not torch.equal(scores(model), scores(built(name, data)))
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "model.safetensors")
    again = restore(tmp_path, data, options(name), SideInformation())
    assert isinstance(again, TrainedRecommender)
    assert torch.equal(scores(again), scores(model))


@pytest.mark.parametrize("name", EVERY)
def test_every_parameter_is_registered_and_trained_also_in_half_precision(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = first_batches(monkeypatch, tmp_path, options(name))[0]
    found = []
    for half in (False, True):
        model = built(name, cycles()).train()
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = torch.stack(list(model.loss(batch).values())).sum()
        loss.backward()
        found.append(loss.item())
        registered = {id(parameter) for parameter in model.parameters()}
        for module in model.modules():
            for key, value in vars(module).items():
                if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                    assert id(value) in registered, f"{key} is no parameter"
        for key, parameter in model.named_parameters():
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all(), key
            assert parameter.grad.abs().sum() > 0 or key.endswith("key.bias"), key  # no softmax depends on such a bias
        assert scores(model.eval()).dtype == torch.float32
    assert found[1] == pytest.approx(found[0], rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_the_walk_round_the_catalogue_is_learned(name: str, tmp_path: Path) -> None:
    metrics = run(tmp_path, options(name), **SLOWER.get(name, {}))
    assert metrics["judged"] == "next_item"
    assert metrics["valid"]["hit_rate@1"] > 0.9  # all but the user who has no training items
    assert metrics["test"]["hit_rate@1"] > 0.9


@pytest.mark.parametrize("name", EVERY)
def test_a_training_repeats(name: str, tmp_path: Path) -> None:
    side = SideInformation(insertions=Insertions.from_rows(np.array([[user, user % 12, 1] for user in range(1, 24)])))
    tables = []
    for out in ("one", "two"):
        run(tmp_path / out, options(name, insertion_rate=0.5), side, epochs=3)
        metrics = read_json(tmp_path / out / "metrics.json")
        tables.append(([epoch["terms"] for epoch in metrics["history"]], metrics["test"]))
        tables[-1] += (read_parquet(tmp_path / out / "per_user.parquet").to_pydict(),)
    assert tables[0] == tables[1]


@pytest.mark.parametrize("name", EVERY)
def test_insertions_are_learned_from_where_the_rate_lets_them_in(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = SideInformation(insertions=Insertions.from_rows(np.array([[user, user % 12, 5] for user in range(1, 24)])))
    seen = {}
    for rate in (0.0, 1.0):
        batches = first_batches(monkeypatch, tmp_path, options(name, insertion_rate=rate), side)
        seen[rate] = sum(len(batch) for batch in batches)
    plain = first_batches(monkeypatch, tmp_path, options(name))
    assert sum(len(batch) for batch in plain) == seen[0.0]
    assert seen[1.0] > seen[0.0]
    with pytest.raises(DataError, match="beyond the 12 there are"):
        run(tmp_path, options(name), SideInformation(insertions=Insertions.from_rows(np.array([[1, 12, 0]]))))


def shared_out(name: str) -> FamilyOptions:
    """Without dropout, which each process draws for itself, and without a contrast, which is of a share's rows."""
    alone = {"contrast": 0.0} if "contrast" in FAMILIES[name].options.model_fields else {}
    return options(name, dropout=0.0, **alone)


def as_rank(out: Path, ticker: object) -> None:
    for name in EVERY:
        run(out / name, shared_out(name), epochs=3)


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes trained, by name of the family."""
    out = tmp_path_factory.mktemp("two")
    launch(as_rank, (out,), processes=2, device="cpu", threads=1)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_two_processes_train_what_one_trains(name: str, by_two: Path, tmp_path: Path) -> None:
    one, two = run(tmp_path, shared_out(name), epochs=3), read_json(by_two / name / "metrics.json")
    assert (one["processes"], two["processes"]) == (1, 2)
    for left, right in zip(one["history"], two["history"], strict=True):
        assert left["terms"] == pytest.approx(right["terms"], rel=2e-4)
    assert one["test"] == pytest.approx(two["test"], abs=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_data_without_times_are_refused(name: str) -> None:
    data = Dataset.from_arrays(2, 3, np.array([[0, 0], [0, 1], [1, 1]]), np.empty((0, 2)), np.empty((0, 2)))
    with pytest.raises(DataError, match="needs the times of interactions"):
        built(name, data)


@pytest.mark.parametrize("name", EVERY)
def test_heads_divide_the_width(name: str) -> None:
    with pytest.raises(ValueError, match="3 heads do not divide dim 16"):
        options(name, heads=3)
