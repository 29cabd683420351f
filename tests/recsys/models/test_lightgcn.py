"""What LightGCN may do beyond the paper; the paper's own form is in test_baselines."""

from __future__ import annotations

import pytest
import torch

from recsys.draws import Draws
from tests.recsys.models.rlmrec_backbones import (
    BATCH,
    EDGES,
    assert_same,
    batch_l2,
    bpr,
    build,
    dense_graph,
    replayed,
    table,
    thinned,
)


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_a_step_drops_entries_for_all_its_layers(pooling: str, rescale: bool) -> None:
    model = build("lightgcn", layers=2, pooling=pooling, edge_keep=0.6, rescale=rescale, l2=0.2).train()
    draw, e = replayed(model), table(model)
    matrix = thinned(draw.kept("edges", 2 * len(EDGES), 0.6), 1 / 0.6 if rescale else 1.0)
    e = (e + matrix @ e + matrix @ matrix @ e) / (3 if pooling == "mean" else 1)
    assert_same(model, {"bpr": bpr(e), "l2": 0.2 * batch_l2(model)})


def test_nothing_is_dropped_where_it_is_judged() -> None:
    model = build("lightgcn", layers=2, edge_keep=0.6).eval()
    e, matrix = table(model), dense_graph()
    assert torch.allclose(torch.cat(model()), (e + matrix @ e + matrix @ matrix @ e) / 3, atol=1e-7)


def test_scaled_dropout_keeps_what_arrives_on_average() -> None:
    model = build("lightgcn", layers=1, pooling="sum", edge_keep=0.5).train()
    model.draw = Draws(torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean = torch.stack([torch.cat(model()) for _ in range(4000)]).mean(0)
        whole = torch.cat(model.eval()())
    assert (mean - whole).abs().max() < 0.05 * whole.abs().max()


@pytest.mark.parametrize("aligner", ["none", "con", "gen"])
def test_a_penalty_on_all_parameters_has_those_of_the_aligner(aligner: str) -> None:
    model = build("lightgcn", l2=0.5, l2_kind="all", aligner={"kind": aligner}).train()
    squares = sum(parameter.square().sum() for parameter in model.parameters())
    assert (len(list(model.aligner.parameters())) > 0) is (aligner != "none")
    assert torch.allclose(model.loss(BATCH)["l2"], 0.5 * squares)
