from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.recsys.models.rlmrec_backbones import (
    BATCH,
    DIM,
    ITEMS,
    USERS,
    assert_same,
    batch_l2,
    bpr,
    build,
    contrast,
    dense_graph,
    replayed,
    table,
)


def passed(e: Tensor, noise: list[Tensor] | None, length: float, layers: int, initial: bool, pooling: str) -> Tensor:
    found = [e] if initial else []
    for layer in range(layers):
        e = dense_graph() @ e
        if noise is not None:
            unit = noise[layer].double() / noise[layer].double().norm(dim=1, keepdim=True)
            e = e + length * torch.sign(e) * unit
        found.append(e)
    total = torch.stack(found).sum(0)
    return total / len(found) if pooling == "mean" else total


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooling": "sum", "initial": True},
        {"layers": 1},
        {"layers": 1, "initial": True, "contrast_temperature": 1.0},
    ],
)
def test_the_loss_and_its_gradient_are_those_of_three_passes(options: dict) -> None:
    model = build("simgcl", **{"layers": 3, "l2": 0.2, "contrast": 0.4, "noise": 0.3, **options}).train()
    o = model.options  # type: ignore[attr-defined]
    draw, e = replayed(model), table(model)
    drawn = [draw.uniform("noise", USERS + ITEMS, DIM) for _ in range(2 * o.layers)]
    rest = o.noise, o.layers, o.initial, o.pooling
    views = passed(e, drawn[::2], *rest), passed(e, drawn[1::2], *rest)
    told = contrast(*views, o.contrast_temperature, negatives=False)
    terms = {"bpr": bpr(passed(e, None, *rest)), "l2": 0.2 * batch_l2(model), "contrast": 0.4 * told}
    assert_same(model, terms)


def test_no_noise_is_what_is_judged() -> None:
    model = build("simgcl", layers=2).eval()
    assert torch.allclose(torch.cat(model()), passed(table(model), None, 0.0, 2, False, "mean"), atol=1e-7)


def test_a_node_of_zeros_gets_no_noise() -> None:
    """The last user has no neighbour, so nothing arrives whose sign could be taken."""
    model = build("simgcl", layers=2, noise=5.0).train()
    views = model.propagate(model.table(), model.draw)
    assert views.first.users[USERS - 1].abs().sum() == 0  # type: ignore[attr-defined]
    assert views.first.users[0].abs().sum() > 1  # type: ignore[attr-defined]


def test_only_what_a_loss_reads_gets_a_gradient() -> None:
    model = build("simgcl", layers=2).train()
    model.propagate(model.table(), model.draw).final.items.sum().backward()
    expected = torch.autograd.grad(
        passed(table(model), None, 0.0, 2, False, "mean")[USERS:].sum(), model.user_embedding
    )
    assert model.user_embedding.grad is not None
    assert torch.allclose(model.user_embedding.grad, expected[0], atol=1e-7)


def test_the_same_seed_gives_the_same_step() -> None:
    losses = []
    for seed in (1, 1, 2):
        model = build("simgcl", aligner={"kind": "gen"}).train()
        replayed(model, seed)
        losses.append({name: float(value.detach()) for name, value in model.loss(BATCH).items()})
    assert losses[0] == losses[1] != losses[2]
