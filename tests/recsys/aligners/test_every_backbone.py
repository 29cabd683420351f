"""What holds for either alignment on every backbone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.augmentation import SideInformation
from recsys.batches.triplets import BprSampler, Triplets
from recsys.data.dataset import Dataset
from recsys.models.build import build_model
from recsys.models.options.pairwise_graph import PairwiseGraphOptions
from recsys.models.parts.graph_recommender import GraphRecommender
from recsys.models.registry import FAMILIES
from recsys.seeds import seeded
from tests.recsys.models.rlmrec_backbones import replayed

BACKBONES = [
    name for name, family in FAMILIES.items() if issubclass(family.options, PairwiseGraphOptions) and not family.needs
]
TERMS = {"con": "con", "gen": "gen"}


def built(data: Dataset, side: SideInformation, name: str, **options: Any) -> GraphRecommender:
    given = FAMILIES[name].options.model_validate({"dim": 8, **options})
    model = build_model(data, side, given, seeded(0, "parameters"))
    assert isinstance(model, GraphRecommender)
    replayed(model)
    model.before_step(0)
    return model.train()


def batch_of(data: Dataset) -> Triplets:
    sampler = BprSampler(data.train, data.n_users, data.n_items, batch_size=32, generator=seeded(0, "sampler"))
    return next(sampler.epoch())


def values(model: GraphRecommender, batch: Triplets) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in model.loss(batch).items()}


def total(model: GraphRecommender, batch: Triplets) -> Tensor:
    return torch.stack(list(model.loss(batch).values())).sum()


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("aligner", TERMS)
@pytest.mark.parametrize("name", BACKBONES)
def test_its_term_joins_the_models_and_trains_every_parameter(
    data: Dataset, side: SideInformation, name: str, aligner: str, released: bool
) -> None:
    batch = batch_of(data)
    model = built(data, side, name, released=released, aligner={"kind": aligner})
    plain = built(data, side, name, released=released)
    assert values(model, batch).keys() - values(plain, batch).keys() == {TERMS[aligner]}
    total(model, batch).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("aligner", TERMS)
@pytest.mark.parametrize("name", BACKBONES)
def test_the_same_seed_gives_the_same_losses(data: Dataset, side: SideInformation, name: str, aligner: str) -> None:
    batch, found = batch_of(data), []
    for _ in range(2):
        model = built(data, side, name, aligner={"kind": aligner, "bank": 4})
        found.append([values(model, batch), values(model, batch)])
    assert found[0] == found[1]
    assert found[0][0] != found[0][1]  # the second step draws anew


@pytest.mark.parametrize("name", BACKBONES)
def test_con_of_weight_zero_is_none(data: Dataset, side: SideInformation, name: str) -> None:
    batch = batch_of(data)
    idle, plain = built(data, side, name, aligner={"kind": "con", "weight": 0.0}), built(data, side, name)
    assert values(idle, batch) == values(plain, batch)


@pytest.mark.parametrize("aligner", TERMS)
@pytest.mark.parametrize("name", BACKBONES)
def test_losses_are_finite_and_near_in_half_precision(
    data: Dataset, side: SideInformation, name: str, aligner: str
) -> None:
    batch = batch_of(data)
    whole = total(built(data, side, name, aligner={"kind": aligner}), batch)
    with torch.autocast("cpu", torch.bfloat16):
        half = total(built(data, side, name, aligner={"kind": aligner}), batch)
    half.backward()
    assert half.item() == pytest.approx(whole.item(), rel=0.05)


@pytest.mark.parametrize("aligner", TERMS)
@pytest.mark.parametrize("name", BACKBONES)
def test_an_aligner_takes_no_part_in_scores(data: Dataset, side: SideInformation, name: str, aligner: str) -> None:
    options = {"aligner": {"kind": aligner}}
    scores = [built(data, side, name, **given).eval()() for given in (options, {})]
    assert all(torch.equal(a, b) for a, b in zip(*scores, strict=True))
