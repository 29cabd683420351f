"""Training steps that compute the embeddings of their batch alone are those that compute all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recsys.graph.reach import Reach
from recsys.graph.smoothing import SmoothingGraph
from recsys.models.base import EmbeddingRecommender
from recsys.models.build import build_model
from recsys.models.registry import FAMILIES
from recsys.seeds import seeded
from tests.recsys.models.rlmrec_backbones import BATCH, ITEMS, USERS, data, side

DIM = 16


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[Reach | None]:
    """Small products are compiled; holds what each step found."""
    found: list[Reach | None] = []
    of = SmoothingGraph.reach

    def noted(graph: SmoothingGraph, *given: Any) -> Reach | None:
        found.append(of(graph, *given))
        return found[-1]

    monkeypatch.setattr(SmoothingGraph, "reach", noted)
    monkeypatch.setattr("recsys.graph.sparse_operator.WORTH_LOADING", 0)
    return found


def model_of(family: str, **options: Any) -> EmbeddingRecommender:
    given = FAMILIES[family].options.model_validate({"dim": DIM, **options})
    model = build_model(data(), side(), given, seeded(0, "parameters"))
    assert isinstance(model, EmbeddingRecommender)
    return model.train()


def step(model: EmbeddingRecommender) -> list[Tensor]:
    losses = list(model.loss(BATCH).values())
    return losses + list(torch.autograd.grad(torch.stack(losses).sum(), list(model.parameters()), allow_unused=True))


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("lightgcn", {"layers": 3, "l2": 0.1}),
        ("lightgcn", {"layers": 1, "pooling": "sum", "l2_kind": "all"}),
        ("lightgcn", {"aligner": {"kind": "kar"}}),  # changes what is propagated, and reads nothing of the result
        ("text_gcn", {}),
    ],
)
def test_a_step_has_the_same_bits(
    family: str, options: dict[str, Any], reached: list[Reach | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    for most in (1, -1):
        monkeypatch.setattr("recsys.graph.reach.MOST", most)
        steps.append(step(model_of(family, **options)))
    assert [isinstance(found, Reach) for found in reached] == [True, False]
    for alone, whole in zip(*steps, strict=True):
        assert (alone is None and whole is None) or torch.equal(alone, whole)


class Added(nn.Module):
    def forward(self) -> tuple[Tensor, Tensor]:
        return torch.ones(USERS, DIM), torch.ones(ITEMS, DIM)


@pytest.mark.parametrize("reader", ["aligner", "side", "dropout"])
def test_all_rows_are_computed_for_whoever_reads_them(
    reader: str, reached: list[Reach | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.graph.reach.MOST", 1)
    options = {"aligner": {"aligner": {"kind": "gen"}}, "dropout": {"edge_keep": 0.5}}
    model = model_of("lightgcn", **options.get(reader, {}))
    if reader == "side":
        model.attach_side(Added())
    assert all(part.isfinite().all() for part in step(model) if part is not None)
    assert not reached
