"""MixGCF held to loops in which every candidate is mixed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from recsys.batches.triplets import Triplets
from recsys.models.mixgcf import MixGCF
from tests.recsys.models.rlmrec_backbones import (
    BATCH,
    EDGES,
    ITEMS,
    USERS,
    assert_same,
    build,
    dense_graph,
    replayed,
    table,
)

OWNED = {(int(user), int(item)) for user, item in EDGES}


def hops(e: Tensor, layers: int) -> list[Tensor]:
    found = [e]
    for _ in range(layers):
        found.append(dense_graph() @ found[-1])
    return found


def mixed(model: MixGCF, batch: Triplets, e: Tensor, seed: int, layers: int) -> tuple[list[Tensor], list[Tensor]]:
    """For every triplet its negative, and that of hop 0."""
    generator = torch.Generator().manual_seed(seed)
    candidates = model.candidates(batch, generator)
    rows = hops(e, layers)
    pooled = sum(rows) / (layers + 1)
    assert isinstance(pooled, Tensor)
    shares = [torch.rand(len(batch), 1, generator=generator) for _ in rows]
    negatives, first = [], []
    for k, (user, positive) in enumerate(zip(batch.user.tolist(), batch.positive.tolist(), strict=True)):
        chosen = []
        for hop, share in zip(rows, shares, strict=True):
            a = share[k].double()
            made = [a * hop[USERS + positive] + (1 - a) * hop[USERS + item] for item in candidates[k].tolist()]
            scores = [float((pooled[user] @ row).detach()) for row in made]
            chosen.append(made[int(np.argmax(scores))])
        negatives.append(torch.stack(chosen).mean(0))
        first.append(chosen[0])
    return negatives, first


@pytest.mark.parametrize(
    "options", [{}, {"layers": 1, "negatives": 3}, {"l2_kind": "norm", "layers": 2, "negatives": 1}]
)
def test_the_loss_is_that_of_mixing_every_candidate(options: dict) -> None:
    model = build("mixgcf", l2=0.2, **options).train()
    assert isinstance(model, MixGCF)
    draw, e, layers = replayed(model), table(model), model.options.layers
    negatives, first = mixed(model, BATCH, e, int(draw.repeated("negatives", 1, 2**62)), layers)
    pooled = sum(hops(e, layers)) / (layers + 1)
    u, p = pooled[BATCH.user], pooled[USERS + BATCH.positive]  # type: ignore[index]
    losses = [(1 + (u[k] @ negatives[k] - u[k] @ p[k]).exp()).log() for k in range(len(BATCH))]
    parts = [e[BATCH.user], e[USERS + BATCH.positive], torch.stack(first)]
    if model.l2_kind == "squared":
        penalty = sum(part.square().sum() for part in parts) / 2 / len(BATCH)
    else:
        penalty = sum(part.square().sum().sqrt() for part in parts) / len(BATCH)
    assert_same(model, {"bpr": torch.stack(losses).mean(), "l2": 0.2 * penalty})


def test_candidates_are_the_batchs_own_and_others_the_user_has_not() -> None:
    model = build("mixgcf", negatives=7)
    assert isinstance(model, MixGCF)
    found = model.candidates(BATCH, torch.Generator().manual_seed(0))
    assert found.shape == (len(BATCH), 7)
    assert torch.equal(found[:, 0], BATCH.negative)
    for user, row in zip(BATCH.user.tolist(), found.tolist(), strict=True):
        assert not any((user, item) in OWNED for item in row[1:])
        assert {*row[1:]} <= {*range(ITEMS)}
    assert len({tuple(row) for row in found.tolist()}) > 1


def test_a_suggested_triplet_keeps_its_negative() -> None:
    model = build("mixgcf", negatives=4)
    assert isinstance(model, MixGCF)
    batch = Triplets(BATCH.user, BATCH.positive, BATCH.negative, None, 2)
    found = model.candidates(batch, torch.Generator().manual_seed(0))
    assert found[2:].tolist() == [[int(item)] * 4 for item in BATCH.negative[2:]]


def test_it_scores_as_lightgcn_does() -> None:
    ours, theirs = build("mixgcf").eval(), build("lightgcn").eval()
    assert all(torch.equal(a, b) for a, b in zip(ours(), theirs(), strict=True))


def test_the_hardest_is_harder_than_a_drawn_one() -> None:
    values = [float(build("mixgcf", l2=0.0, negatives=count).train().loss(BATCH)["bpr"].detach()) for count in (1, 64)]
    assert values[1] > values[0]
