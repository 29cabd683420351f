"""Blends: what is summed, and that the weights come from validation alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.data.sealed import SealedSplit
from recsys.evaluation.ranking import evaluate
from recsys.models.base import Fitted, Recommender
from recsys.models.blend import Blend, standardised
from recsys.models.build import build_model
from recsys.models.options.blend import BlendOptions
from recsys.models.parts.weight_search import corners, moves, search, simplex
from recsys.models.registry import FAMILIES, ModelOptions
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.seeds import seeded
from recsys.training import train as train_module
from recsys.training.job import FitJob
from recsys.training.restore import restore
from recsys.training.train import train

QUICK = TrainingOptions(epochs=3, batch_size=128, lr=0.02, threads=1, device="cpu", monitor="ndcg@5")
MEMBERS = {
    "pop": {"family": "popularity"},
    "knn": {"family": "item_knn", "neighbours": 5},
    "gcn": {"family": "lightgcn", "dim": 8, "layers": 1, "training": {"epochs": 2}},
}


def options(members: dict[str, Any] = MEMBERS, **changes: Any) -> BlendOptions:
    return TypeAdapter(ModelOptions).validate_python({"family": "blend", "members": members, **changes})


def run(dataset: Dataset, out: Path, model: BlendOptions, *, judge_test: bool = True, **changes: Any) -> dict[str, Any]:
    given = (dataset, model, SideInformation(), QUICK.model_copy(update=changes), EvaluationOptions(cutoffs=(5,)), 3)
    return train(*given, out, "mixed", "fingerprint", judge_test=judge_test)


class Fixed(Recommender):
    """Scores from a table."""

    def __init__(self, table: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("table", torch.from_numpy(table).float())

    def fit(self, job: FitJob) -> Fitted:
        return Fitted()

    def scores(self, queries: Queries) -> Tensor:
        return self.table[queries.users]


def tables(seed: int = 0, users: int = 60, items: int = 40) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(users, items)), 300 * rng.random((users, items)) + 1000, np.full((users, items), 0.3)]


def blend_of(dataset: Dataset, parts: list[np.ndarray], *, standardise: bool = True) -> Blend:
    sizes = dataset.n_users, dataset.n_items
    return Blend(dataset.train, *sizes, [Fixed(part) for part in parts], standardise=standardise)


@pytest.mark.parametrize("standardise", [True, False])
def test_scores_equal_a_loop_over_users_and_items(tastes: Dataset, standardise: bool) -> None:
    parts = tables()
    weights = [0.5, 0.2, 0.3]
    blend = blend_of(tastes, parts, standardise=standardise)
    blend.weights.copy_(torch.tensor(weights))
    expected = np.zeros((60, 40))
    for user in range(60):
        owned = {item for of, item in tastes.train.tolist() if of == user}
        for part, weight in zip(parts, weights, strict=True):
            row = part[user].astype(np.float32).astype(np.float64)
            candidates = [row[item] for item in range(40) if item not in owned]
            mean = sum(candidates) / len(candidates)
            deviation = (sum((value - mean) ** 2 for value in candidates) / len(candidates)) ** 0.5
            for item in range(40):
                if not standardise:
                    expected[user, item] += weight * row[item]
                elif deviation > 1e-6:
                    expected[user, item] += weight * (row[item] - mean) / deviation
    scores = blend.scores(Queries(torch.arange(60)))
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(scores[[7, 3]], blend.scores(Queries(torch.tensor([7, 3]))))


def test_what_is_never_recommended_stays_so_and_a_user_with_everything_is_no_trouble() -> None:
    scores = torch.tensor([[1.0, -torch.inf, 3.0], [2.0, 2.0, -torch.inf], [1.0, 2.0, 3.0]])
    owned = torch.tensor([[False] * 3, [False] * 3, [True] * 3])
    found = standardised(scores, owned)
    assert found.tolist() == [[-1.0, -torch.inf, 1.0], [0.0, 0.0, -torch.inf], [0.0, 0.0, 0.0]]


def test_weight_one_ranks_as_that_member_even_beside_one_that_recommends_nothing(tastes: Dataset) -> None:
    parts = [tables()[0], np.full((60, 40), -np.inf)]
    blend = blend_of(tastes, parts)
    blend.weights.copy_(torch.tensor([1.0, 0.0]))
    users = torch.arange(60)
    assert torch.equal(blend.scores(Queries(users)).argsort(1), torch.from_numpy(parts[0]).float().argsort(1))


def naive(blend: Blend, dataset: Dataset, weights: list[float]) -> float:
    blend.weights.copy_(torch.tensor(weights, dtype=torch.float64))
    return evaluate(blend.scorer("valid"), dataset, "valid", cutoffs=[5]).mean["ndcg@5"]


def test_weights_are_the_best_of_the_grid_on_validation(
    tastes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.models.blend.CHUNK", 7 * 40)  # several chunks
    metrics = run(tastes, tmp_path, options())
    found = metrics["blend"]
    assert found["tried"] == len(simplex(3, 10)) == 66
    blend = restore(tmp_path, tastes, options(), SideInformation())
    chosen = [found["weights"][name] for name in MEMBERS]
    assert sum(chosen) == pytest.approx(1)
    values = {parts: naive(blend, tastes, [part / 10 for part in parts]) for parts in simplex(3, 10)}
    assert max(values.values()) == pytest.approx(found["valid"], abs=1e-12)
    assert naive(blend, tastes, chosen) == pytest.approx(found["valid"], abs=1e-12)
    assert metrics["valid"]["ndcg@5"] == pytest.approx(found["valid"], abs=1e-12)
    for name, single in zip(MEMBERS, corners(3, 10), strict=True):
        assert found["members"][name] == pytest.approx(values[single], abs=1e-12)
        own = read_json(tmp_path / "members" / name / "metrics.json")
        assert own["valid"]["ndcg@5"] == pytest.approx(values[single], abs=1e-12)
        assert own["test"] == {}
    assert read_json(tmp_path / "members" / "gcn" / "metrics.json")["epochs"] == 2
    assert read_json(tmp_path / "metrics.json")["blend"] == json.loads(json.dumps(found))


def test_the_test_split_is_never_read_for_members_or_weights(tastes: Dataset, tmp_path: Path) -> None:
    sealed = tastes.sealed()
    metrics = run(sealed, tmp_path / "sealed", options(), judge_test=False)
    assert metrics["test"] == {}
    assert metrics["blend"] == run(tastes, tmp_path / "open", options())["blend"]
    with pytest.raises(SealedSplit):
        run(sealed, tmp_path / "judged", options())


def test_a_blend_is_at_least_as_good_on_validation_as_each_member(tastes: Dataset, tmp_path: Path) -> None:
    found = run(tastes, tmp_path, options())["blend"]
    assert found["valid"] >= max(found["members"].values())
    assert found["monitor"] == "ndcg@5"


def test_finished_members_are_kept_when_a_killed_blend_goes_on(
    tastes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def counting(*given: Any, **rest: Any) -> Any:
        trained.append(given[1].family)
        if trained == ["popularity", "item_knn"]:
            raise KeyboardInterrupt
        return train(*given, **rest)

    monkeypatch.setattr(train_module, "train", counting)
    with pytest.raises(KeyboardInterrupt):
        run(tastes, tmp_path, options())
    resumed = run(tastes, tmp_path, options())
    assert trained == ["popularity", "item_knn", "item_knn", "lightgcn"]
    assert resumed["blend"] == run(tastes, tmp_path / "again", options())["blend"]
    trained.clear()
    run(tastes, tmp_path, options({**MEMBERS, "knn": {"family": "item_knn", "neighbours": 2}}))
    assert trained == ["item_knn"]


def test_no_checkpoint_is_left_where_none_is_wanted(tastes: Dataset, tmp_path: Path) -> None:
    members = {**MEMBERS, "gcn": {**MEMBERS["gcn"], "training": {"epochs": 1, "keep_checkpoint": False}}}
    run(tastes, tmp_path, options(members), keep_checkpoint=False)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_data_without_validation_cannot_choose_weights(tastes: Dataset, tmp_path: Path) -> None:
    empty = np.empty((0, 2), dtype=np.int64)
    dataset = Dataset.from_arrays(60, 40, tastes.train, empty, tastes.test)
    with pytest.raises(DataError, match="choose the blend's weights"):
        run(dataset, tmp_path, options())


def test_the_grid_is_complete_and_the_search_climbs_to_its_top() -> None:
    grid = simplex(3, 4)
    assert len(grid) == len(set(grid)) == 15
    assert {sum(parts) for parts in grid} == {4}
    assert all(min(parts) >= 0 for parts in grid)
    assert set(moves((2, 0, 2))) == {(1, 1, 2), (1, 0, 3), (3, 0, 1), (2, 1, 1)}
    target = np.array([1, 2, 0, 4, 3, 2, 0])
    seen: dict[tuple[int, ...], float] = {}

    def judge(weightings: Any) -> None:
        for parts in weightings:
            seen.setdefault(parts, -float(np.square(np.array(parts) - target).sum()))

    assert search(judge, seen, 7, 12) == tuple(target)
    assert len(seen) < 500  # of 18,564


def test_equally_good_weightings_fall_to_the_most_even_one() -> None:
    seen: dict[tuple[int, ...], float] = {}
    assert search(lambda found: seen.update(dict.fromkeys(found, 1.0)), seen, 2, 10) == (5, 5)
    seen = {}
    assert search(lambda found: seen.update(dict.fromkeys(found, 1.0)), seen, 6, 10) == (2, 2, 2, 2, 1, 1)


def test_features_reach_the_members_that_read_them(tastes: Dataset, tmp_path: Path) -> None:
    members = {"pop": {"family": "popularity"}, "text": {"family": "ease_text"}}
    family = FAMILIES["blend"]
    assert family.uses_features(options(members))
    assert not family.uses_features(options())
    with pytest.raises(DataError, match="'ease_text' needs item features"):
        run(tastes, tmp_path, options(members))
    text = FeatureMatrix.from_dense(np.random.default_rng(0).normal(size=(40, 5)))
    model = build_model(tastes, SideInformation(item={"text": text}), options(members), seeded(0, "parameters"))
    assert isinstance(model, Blend)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"one": {"family": "ease"}}, "at least 2"),
        ({"a": {"family": "ease"}, "b": {"family": "blend"}}, "itself a blend"),
        ({"a": {"family": "ease"}, "b/c": {"family": "popularity"}}, "cannot be a name"),
        ({"a": {"family": "ease"}, "b": {"family": "item_knn", "neighbors": 3}}, "members.b.item_knn.neighbors"),
        ({"a": {"family": "ease"}, "b": {"family": "eaze"}}, "does not match any of the expected tags"),
    ],
)
def test_impossible_members_are_refused(members: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options(members)


def test_options_survive_being_saved() -> None:
    given = options(steps=4)
    assert TypeAdapter(ModelOptions).validate_python(given.model_dump(mode="json")) == given
