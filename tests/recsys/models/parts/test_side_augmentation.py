"""Side features on top of LightGCN, against loops over neighbours in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from augrec.artefacts.errors import DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.triplets import BprSampler
from recsys.data.dataset import Dataset
from recsys.models.build import build_model
from recsys.models.lightgcn import LightGCN
from recsys.models.options.lightgcn import LightGcnOptions

SCALES = {"modality": 0.3, "profile": 2.0, "attribute": 0.7}


@pytest.fixture
def side(tastes: Dataset) -> SideInformation:
    rng = np.random.default_rng(3)
    matrix = lambda rows, dim, missing=(): FeatureMatrix.from_dense(rng.normal(size=(rows, dim)), missing)  # noqa: E731
    return SideInformation(
        user={"profile": matrix(60, 6, (1, 2))},
        item={"text": matrix(40, 5), "image": matrix(40, 4, (0,))},
        attributes={"title": matrix(40, 7), "genre": matrix(40, 7, (9,))},
    )


def build(dataset: Dataset, side: SideInformation, scales: dict[str, float]) -> LightGCN:
    options = LightGcnOptions.model_validate({"dim": 4, "layers": 2, "side": scales})
    model = build_model(dataset, side, options, torch.Generator().manual_seed(0))
    assert isinstance(model, LightGCN)
    return model


def by_hand(model: LightGCN, dataset: Dataset, side: SideInformation) -> list[np.ndarray]:
    """What is added to users and to items, neighbour by neighbour."""
    of_user = [[int(i) for u, i in dataset.train if u == user] for user in range(dataset.n_users)]
    of_item = [[int(u) for u, i in dataset.train if i == item] for item in range(dataset.n_items)]

    def hop(x: list[np.ndarray], neighbours: list[list[int]]) -> list[np.ndarray]:
        return [sum((x[n] for n in mine), np.zeros(4)) / math.sqrt(len(mine) + 1e-8) for mine in neighbours]

    added = [np.zeros((dataset.n_users, 4)), np.zeros((dataset.n_items, 4))]
    parameters = {name: value.detach().double().numpy() for name, value in model.side.layers.named_parameters()}
    for group, matrices in (("modality", side.item), ("profile", side.user), ("attribute", side.attributes)):
        for name, matrix in matrices.items():
            layer = "attribute" if group == "attribute" else f"{group}/{name}"
            weight, bias = parameters[f"{layer}.weight"], parameters[f"{layer}.bias"]
            z = [
                weight @ row.astype(np.float64) + bias if there else np.zeros(4)
                for row, there in zip(matrix.dense(), matrix.mask, strict=True)
            ]
            if group == "profile":
                items = hop(z, of_item)
                users = hop(items, of_user)
            else:
                users = hop(z, of_user)
                items = hop(users, of_item)
            for total, rows in zip(added, (users, items), strict=True):
                total += SCALES[group] * np.array([row / max(np.linalg.norm(row), 1e-12) for row in rows])
    return added


def test_lightgcn_with_side_features_is_the_formula(tastes: Dataset, side: SideInformation) -> None:
    model, plain = build(tastes, side, SCALES), build(tastes, side, {})
    for mine, before, added in zip(model(), plain(), by_hand(model, tastes, side), strict=True):
        np.testing.assert_allclose((mine - before).detach(), added, atol=1e-5)


def test_scales_of_zero_are_the_plain_model(tastes: Dataset, side: SideInformation) -> None:
    model = build(tastes, side, dict.fromkeys(SCALES, 0.0))
    assert model.side is None
    assert {name for name, _ in model.named_parameters()} == {"user_embedding", "item_embedding"}


def test_a_group_of_scale_zero_is_left_out(tastes: Dataset, side: SideInformation) -> None:
    model = build(tastes, side, {"profile": 1.0})
    assert list(model.side.layers) == ["profile/profile"]


@pytest.mark.parametrize(("group", "field"), [("modality", "item"), ("profile", "user"), ("attribute", "attributes")])
def test_a_missing_group_is_named_with_its_option(
    tastes: Dataset, side: SideInformation, group: str, field: str
) -> None:
    parts = {"user": side.user, "item": side.item, "attributes": side.attributes, field: {}}
    with pytest.raises(DataError, match=rf"(?s)side.{group} is 0.5.*set side.{group}=0"):
        build(tastes, SideInformation(**parts), {group: 0.5})


def test_every_projection_learns_and_is_saved(tastes: Dataset, side: SideInformation) -> None:
    model = build(tastes, side, SCALES)
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
    sampler = BprSampler(tastes.train, 60, 40, batch_size=64, generator=torch.Generator().manual_seed(1))
    sum(model.loss(next(iter(sampler.epoch()))).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
