from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from recsys.aligners.base import Embeddings
from recsys.aligners.kar import Kar
from recsys.aligners.options import KarOptions
from recsys.augmentation import SideInformation
from recsys.batches.base import Queries
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.draws import Draws
from recsys.models.build import build_model
from recsys.models.options.families import Alignment
from recsys.models.parts.graph_recommender import GraphRecommender
from recsys.models.registry import FAMILIES
from recsys.seeds import seeded

DIM = 4
BATCH = Triplets(torch.tensor([0, 0, 3, 9, 10]), torch.tensor([7, 8, 2, 2, 5]), torch.tensor([1, 1, 1, 0, 12]), None, 5)
GRAPH_MODELS = [name for name, family in FAMILIES.items() if issubclass(family.options, Alignment) and not family.needs]


def build(data: Dataset, side: SideInformation, **options: Any) -> Kar:
    given = KarOptions(hidden=5, **options)
    return Kar.build(data, side, given, start_dim=DIM, final_dim=DIM, generator=seeded(0, "p")).double()


def embeddings(data: Dataset) -> Embeddings:
    generator = torch.Generator().manual_seed(1)
    return Embeddings(*(torch.randn(n, DIM, generator=generator).double() for n in (data.n_users, data.n_items)))


def adapted(kar: Kar, side: SideInformation, about: str, entity: int) -> Tensor:
    """z of one user or item, expert after expert."""
    matrix = side.user["profile"] if about == "user" else side.item["text"]
    if not matrix.mask[entity]:
        return torch.zeros(kar.options.width or DIM).double()
    p = {name: value.detach() for name, value in kar.named_parameters()}
    text = torch.from_numpy(matrix.dense()[entity]).double()
    logits = [float(w @ text + b) for w, b in zip(p[f"{about}_gate.weight"], p[f"{about}_gate.bias"], strict=True)]
    total = sum(math.exp(value) for value in logits)
    names = [f"shared.{k}" for k in range(kar.options.shared_experts)]
    names += [f"{about}_experts.{k}" for k in range(kar.options.own_experts)]
    assert len(names) == len(logits)
    z = torch.zeros(kar.options.width or DIM).double()
    for name, logit in zip(names, logits, strict=True):
        hidden = p[f"{name}.0.weight"] @ text + p[f"{name}.0.bias"]
        hidden = torch.stack([value if value > 0 else 0.01 * value for value in hidden])
        z = z + math.exp(logit) / total * (p[f"{name}.2.weight"] @ hidden + p[f"{name}.2.bias"])
    return z


@pytest.mark.parametrize(
    "options", [{}, {"join": "add"}, {"width": 3, "shared_experts": 0, "own_experts": 3}, {"shared_experts": 1}]
)
def test_what_is_joined_are_the_equations(data: Dataset, side: SideInformation, options: dict[str, Any]) -> None:
    kar, table = build(data, side, **options), embeddings(data)
    joined = kar.join(table)
    for about, before, after in zip(("user", "item"), table, joined, strict=True):
        for entity, row in enumerate(before):
            z = adapted(kar, side, about, entity)
            expected = row + z if kar.options.join == "add" else torch.cat([row, z])
            torch.testing.assert_close(after[entity], expected)
        assert after.shape[1] == kar.options.start_dim(DIM)


def test_a_width_is_given_where_there_is_a_choice() -> None:
    assert KarOptions(width=3).start_dim(8) == 11
    assert KarOptions(join="add").start_dim(8) == 8
    with pytest.raises(ValidationError, match="leave width out"):
        KarOptions(join="add", width=3)


@pytest.mark.parametrize("join", ["concat", "add"])
@pytest.mark.parametrize("name", GRAPH_MODELS)
def test_every_graph_model_learns_from_texts_and_scores_by_them(
    data: Dataset, side: SideInformation, name: str, join: str
) -> None:
    family = FAMILIES[name]
    options = family.options.model_validate({"family": name, "aligner": {"kind": "kar", "join": join, "hidden": 5}})
    model = build_model(data, side, options, seeded(0, "parameters"))
    assert isinstance(model, GraphRecommender)
    model.draw = Draws(seeded(0, "draws"))
    torch.stack(list(model.train().loss(BATCH).values())).sum().backward()
    for key, parameter in model.aligner.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key
    assert {len(row) for rows in model.eval()() for row in rows} == {model.embedding_dim}
    before = model.scores(Queries(torch.arange(data.n_users)))
    assert torch.isfinite(before).all()
    with torch.no_grad():
        for parameter in model.aligner.parameters():
            parameter.zero_()
    assert not torch.allclose(model.train().eval().scores(Queries(torch.arange(data.n_users))), before)


def test_without_a_word_from_the_experts_a_model_is_as_without_them(data: Dataset, side: SideInformation) -> None:
    models = []
    for aligner in ({"kind": "none"}, {"kind": "kar"}):
        options = FAMILIES["lightgcn"].options.model_validate({"dim": DIM, "aligner": aligner})
        models.append(build_model(data, side, options, seeded(0, "parameters")))
    with torch.no_grad():
        for parameter in models[1].aligner.parameters():
            parameter.zero_()
    queries = Queries(torch.arange(data.n_users))
    torch.testing.assert_close(models[0].scores(queries), models[1].scores(queries))
    plain, joined = (model.loss(BATCH) for model in models)
    assert {name: value.item() for name, value in plain.items()} == pytest.approx(
        {name: value.item() for name, value in joined.items()}
    )
