"""Tuned models: which options they end with, what is trained for it, and that the state brings them back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from augrec.artefacts.errors import DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.models.build import build_model
from recsys.models.options.tuned import TunedOptions
from recsys.models.registry import FAMILIES, ModelOptions
from recsys.models.tuned import Tuned
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.seeds import seeded
from recsys.training import train as train_module
from recsys.training.restore import restore
from recsys.training.train import train

QUICK = TrainingOptions(epochs=2, batch_size=128, lr=0.02, threads=1, device="cpu", monitor="ndcg@5")
KNN = {"family": "item_knn", "neighbours": 1}
SPACE = {"neighbours": [1, 4, 12], "shrink": [0, 20]}


def options(model: dict[str, Any] = KNN, space: dict[str, Any] = SPACE, **changes: Any) -> TunedOptions:
    return TypeAdapter(ModelOptions).validate_python({"family": "tuned", "model": model, "space": space, **changes})


def run(
    dataset: Dataset,
    out: Path,
    model: Any,
    side: SideInformation | None = None,
    *,
    judge_test: bool = True,
    **changes: Any,
) -> dict[str, Any]:
    training = QUICK.model_copy(update=changes)
    side, cutoffs = side or SideInformation(), EvaluationOptions(cutoffs=(5,))
    return train(dataset, model, side, training, cutoffs, 3, out, "variant", "fingerprint", judge_test=judge_test)


def value(dataset: Dataset, out: Path, **changes: Any) -> float:
    member = FAMILIES["item_knn"].options(**{**KNN, **changes})
    found = run(dataset, out / json.dumps(changes), member, judge_test=False)["valid"]["ndcg@5"]
    assert isinstance(found, float)
    return found


def test_options_are_settled_one_after_the_other_by_validation(tastes: Dataset, tmp_path: Path) -> None:
    start = {"neighbours": 1, "shrink": 0}
    best = dict(start)
    for key, values in SPACE.items():
        reached = {one: value(tastes, tmp_path / "alone", **{**best, key: one}) for one in values}
        if max(reached.values()) > reached[best[key]]:
            best[key] = max(reached, key=reached.__getitem__)
    assert best != start, "the search has something to find"
    metrics = run(tastes, tmp_path / "tuned", options())
    tuned = metrics["tuned"]
    assert {**start, **tuned["options"]} == best
    assert tuned["valid"] == max(row["valid"] for row in tuned["tried"]) == metrics["valid"]["ndcg@5"]
    assert len(tuned["tried"]) == 4  # 3 values and 2; what is in place is among either and is not trained again


def test_a_second_round_starts_from_the_first_ones_choice(tastes: Dataset, tmp_path: Path) -> None:
    space = {"shrink": [0, 20], "neighbours": [1, 4, 12]}
    once, twice = (
        run(tastes, tmp_path / str(rounds), options(space=space, rounds=rounds))["tuned"] for rounds in (1, 3)
    )
    assert once["tried"] == twice["tried"][: len(once["tried"])]
    assert twice["valid"] >= once["valid"]
    assert len(twice["tried"]) > len(once["tried"])


def text_side(dataset: Dataset) -> SideInformation:
    """Vectors that say nothing, so many numbers for users that a model which hears them is worse."""
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(dataset.n_users, 50)), rng.normal(size=(dataset.n_items, 5))
    return SideInformation(
        item={"text": FeatureMatrix.from_dense(items)}, user={"profile": FeatureMatrix.from_dense(users)}
    )


def test_the_state_brings_the_chosen_options_back(tastes: Dataset, tmp_path: Path) -> None:
    """Options that change which tensors the state has, and how scores are made of it."""
    side, start = text_side(tastes), {"family": "ease_text", "l2": 5, "alpha": 1, "profile": 1000}
    model = options(start, {"profile": [0.0], "diagonal": [0.0, 0.5]})
    metrics = run(tastes, tmp_path, model, side)
    assert metrics["tuned"]["options"]["profile"] == 0
    again = restore(tmp_path, tastes, model, side)
    assert isinstance(again, Tuned)
    whole = FAMILIES["ease_text"].options(**{**start, **metrics["tuned"]["options"]})
    expected = build_model(tastes, side, whole, seeded(0, "parameters"))
    expected.compute(tastes)
    queries = Queries(torch.arange(tastes.n_users))
    assert torch.equal(again.scores(queries), expected.scores(queries))


def test_a_finished_trial_is_not_trained_again_and_one_set_of_weights_is_left(
    tastes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tastes, tmp_path, options())
    assert len(list(tmp_path.rglob("members/*/model.safetensors"))) == 1
    asked = []
    real = train_module.train
    monkeypatch.setattr(train_module, "train", lambda *given, **named: asked.append(given[1]) or real(*given, **named))
    (tmp_path / "metrics.json").unlink()
    assert run(tastes, tmp_path, options())["tuned"] == first["tuned"]
    assert asked == []
    run(tastes, tmp_path, options(space={**SPACE, "shrink": [0, 20, 90]}))
    assert [model.shrink for model in asked] == [90]


def test_no_weights_are_left_where_none_are_wanted(tastes: Dataset, tmp_path: Path) -> None:
    run(tastes, tmp_path, options(), keep_checkpoint=False)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_blend_has_tuned_members_that_read_features(tastes: Dataset, tmp_path: Path) -> None:
    tuned = {"family": "tuned", "model": {"family": "ease_text", "l2": 5}, "space": {"alpha": [0, 3]}}
    blend = TypeAdapter(ModelOptions).validate_python(
        {"family": "blend", "members": {"ease": tuned, "pop": {"family": "popularity"}}}
    )
    assert FAMILIES["blend"].uses_features(blend)
    metrics = run(tastes, tmp_path, blend, text_side(tastes))
    assert set(metrics["blend"]["weights"]) == {"ease", "pop"}
    assert metrics["deterministic"]


def test_a_trained_model_can_be_tuned_too(tastes: Dataset, tmp_path: Path) -> None:
    model = {"family": "mf_bpr", "dim": 4}
    metrics = run(tastes, tmp_path, options(model, {"training.lr": [0.001, 0.05]}))
    assert not metrics["deterministic"]
    assert metrics["tuned"]["options"] == {"training.lr": 0.05}


def test_without_validation_there_is_nothing_to_choose_on(tastes: Dataset, tmp_path: Path) -> None:
    empty = np.empty((0, 2), dtype=np.int64)
    dataset = Dataset.from_arrays(60, 40, tastes.train, empty, tastes.test)
    with pytest.raises(DataError, match="no validation interaction to choose options on"):
        run(dataset, tmp_path, options())


@pytest.mark.parametrize(
    ("model", "space", "message"),
    [
        (KNN, {"neighbors": [3]}, "space.neighbors: 3: Extra inputs"),
        (KNN, {"shrink": [-1]}, "space.shrink: -1"),
        (KNN, {"shrink": []}, "space.shrink: name at least one value"),
        (KNN, {}, "at least 1"),
        ({"family": "blend"}, SPACE, "a blend cannot be tuned"),
    ],
)
def test_an_impossible_space_is_refused(model: dict[str, Any], space: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options(model, space)


def test_options_survive_being_saved() -> None:
    given = options(rounds=2)
    assert TypeAdapter(ModelOptions).validate_python(given.model_dump(mode="json")) == given
