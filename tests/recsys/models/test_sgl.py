from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recsys.models.parts.graph_recommender import GraphRecommender
from tests.recsys.models.rlmrec_backbones import (
    BATCH,
    EDGES,
    assert_same,
    batch_l2,
    bpr,
    build,
    contrast,
    dense_graph,
    replayed,
    table,
    thinned,
)


def passed(e: Tensor, matrix: Tensor, pooling: str) -> Tensor:
    return (e + matrix @ e + matrix @ matrix @ e) / (3 if pooling == "mean" else 1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooling": "sum", "rescale": False, "contrast_negatives": True},
        {"edge_keep": 0.5, "contrast_temperature": 1.0},
    ],
)
def test_the_loss_is_that_of_every_row_for_itself(options: dict) -> None:
    model = build("sgl", layers=2, l2=0.2, contrast=0.4, **options).train()
    o = model.options  # type: ignore[attr-defined]
    draw, e = replayed(model), table(model)
    scale = 1 / o.edge_keep if o.rescale else 1.0
    views = [passed(e, thinned(draw.kept("edges", 2 * len(EDGES), o.edge_keep), scale), o.pooling) for _ in range(2)]
    told = contrast(*views, o.contrast_temperature, negatives=o.contrast_negatives)
    terms = {"bpr": bpr(passed(e, dense_graph(), o.pooling)), "l2": 0.2 * batch_l2(model), "contrast": 0.4 * told}
    assert_same(model, terms)


def values(model: GraphRecommender) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in model.loss(BATCH).items()}


def test_it_scores_as_lightgcn_does() -> None:
    sgl, lightgcn = build("sgl").eval(), build("lightgcn").eval()
    assert all(torch.equal(a, b) for a, b in zip(sgl(), lightgcn(), strict=True))


def test_without_a_contrast_it_is_lightgcn_and_draws_nothing() -> None:
    sgl, lightgcn = build("sgl", contrast=0.0).train(), build("lightgcn").train()
    draw = replayed(sgl)
    assert values(sgl) == values(lightgcn)
    assert torch.equal(sgl.draw.uniform("next", 1), draw.uniform("next", 1))
