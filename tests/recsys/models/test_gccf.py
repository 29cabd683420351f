from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recsys.models.parts.graph_recommender import GraphRecommender
from tests.recsys.models.rlmrec_backbones import (
    BATCH,
    DIM,
    USERS,
    assert_same,
    batch_l2,
    bpr,
    build,
    dense_graph,
    table,
)


def layers(model: GraphRecommender, count: int, *, loops: bool) -> Tensor:
    found = [table(model)]
    for _ in range(count):
        found.append(dense_graph(loops=loops) @ found[-1])
    return torch.cat(found, 1)


@pytest.mark.parametrize(("count", "loops"), [(0, True), (2, True), (3, False)])
def test_layers_lie_side_by_side(count: int, loops: bool) -> None:
    model = build("gccf", layers=count, self_loops=loops).eval()
    expected = layers(model, count, loops=loops)
    assert model.embedding_dim == (count + 1) * DIM
    assert torch.allclose(torch.cat(model()), expected, atol=1e-7)


def test_the_loss_is_that_of_every_row_for_itself() -> None:
    model = build("gccf", layers=2, l2=0.3).train()
    e = layers(model, 2, loops=True)
    assert_same(model, {"bpr": bpr(e), "l2": 0.3 * batch_l2(model)})


def test_a_user_without_items_keeps_only_itself() -> None:
    user = build("gccf", layers=2).eval()()[0][USERS - 1].reshape(3, DIM)
    assert torch.allclose(user, user[:1].expand(3, -1))  # its own neighbour, of degree one
    assert build("gccf", layers=2, self_loops=False).eval()()[0][USERS - 1].reshape(3, DIM)[1:].abs().sum() == 0


def test_unused_weights_are_penalised_and_change_no_score() -> None:
    plain, released = build("gccf", layers=2, l2_kind="all", l2=0.1), build("gccf", layers=2, l2=0.1, released=True)
    assert [tuple(weight.shape) for weight in released.unused] == [(DIM, DIM)] * 2  # type: ignore[attr-defined]
    assert torch.equal(plain.eval()()[0], released.eval()()[0])
    squares = sum(weight.square().sum() for weight in released.unused)  # type: ignore[attr-defined]
    assert torch.allclose(released.loss(BATCH)["l2"] - plain.loss(BATCH)["l2"], 0.1 * squares)


@pytest.mark.parametrize(("aligner", "loops"), [("none", True), ("con", False), ("gen", False)])
def test_the_published_code_has_loops_without_an_aligner_alone(aligner: str, loops: bool) -> None:
    model = build("gccf", released=True, aligner={"kind": aligner})
    assert model.options.self_loops is loops  # type: ignore[attr-defined]
    assert build("gccf", released=True, self_loops=True, aligner={"kind": "con"}).options.self_loops  # type: ignore[attr-defined]
