"""NGCF against its equations written out: loops over nodes and neighbours, float64, sharing no code with the model."""

from __future__ import annotations

import math

import pytest
import torch
from equations_reference import (
    BATCH,
    ITEMS,
    TRAIN,
    USERS,
    agree,
    bpr,
    copies,
    dots,
    leaky,
    neighbours,
    triplets,
    zero,
)
from torch import Tensor

from recsys.batches.base import Queries
from recsys.models.mf_bpr import MfBpr
from recsys.models.ngcf import NGCF
from recsys.models.options.ngcf import NgcfOptions
from recsys.seeds import seeded


def build(dtype: torch.dtype = torch.float64, **options: object) -> NGCF:
    given = {"dim": 3, "layer_dims": (4, 2), "message_dropout": 0.0, "l2": 0.3, **options}
    model = NGCF(TRAIN, USERS, ITEMS, NgcfOptions.model_validate(given), seeded(0, "parameters"))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # zeros would hide a bias that is left out
            torch.nn.init.normal_(parameter, generator=seeded(1, name))
    return model.to(dtype)


class ByHand:
    def __init__(self, model: NGCF) -> None:
        self.p = copies(model)
        self.o = model.options
        self.neighbours = neighbours()

    def linear(self, kind: str, layer: int, x: Tensor) -> Tensor:
        y = self.p[f"{kind}.{layer}.weight"] @ x
        return y + self.p[f"{kind}.{layer}.bias"] if self.o.bias else y

    def final(self) -> Tensor:
        x = [*self.p["user_embedding"], *self.p["item_embedding"]]
        outputs = [x]
        for layer in range(len(self.o.layer_dims)):
            after = []
            for node, mine in enumerate(self.neighbours):
                messages = torch.zeros_like(x[node])
                if self.o.graph == "symmetric":
                    for other in mine:
                        messages = messages + x[other] / math.sqrt(len(mine) * len(self.neighbours[other]))
                    first = messages + x[node]
                else:
                    for other in [*mine, node]:
                        messages = messages + x[other] / (len(mine) + 1)
                    first = messages
                first, second = self.linear("sums", layer, first), self.linear("products", layer, messages * x[node])
                once = leaky(first + second, 0.2)
                after.append(once if self.o.activation == "sum" else leaky(first, 0.2) + leaky(second, 0.2))
            x = after
            outputs.append([row / row.norm() for row in x] if self.o.normalise else x)
        return torch.stack([torch.cat(parts) for parts in zip(*outputs, strict=True)])

    def terms(self) -> dict[str, Tensor]:
        final, squares = self.final(), zero()
        start = torch.cat([self.p["user_embedding"], self.p["item_embedding"]])
        for u, i, j in BATCH:
            for node in (u, USERS + i, USERS + j):
                squares = squares + ((final if self.o.l2_rows == "final" else start)[node] ** 2).sum()
        return {"bpr": bpr(dots(final)), "l2": self.o.l2 * squares / 2 / len(BATCH)}


VARIANTS = (
    {},
    {"graph": "row-mean", "activation": "each"},
    {"normalise": False, "bias": False, "l2_rows": "initial"},
    {"layer_dims": ()},
)


@pytest.mark.parametrize("options", VARIANTS)
def test_forward_loss_and_a_step_are_the_equations(options: dict[str, object]) -> None:
    model = build(**options)
    by_hand = ByHand(model)
    torch.testing.assert_close(torch.cat(model()), by_hand.final(), rtol=1e-6, atol=1e-7)  # the graph is float32
    assert torch.cat(model()).shape[1] == model.embedding_dim
    agree(model, triplets(), by_hand.terms(), by_hand.p, rtol=1e-6, atol=1e-7)


def test_no_layers_is_matrix_factorisation() -> None:
    graph = build(torch.float32, layer_dims=(), l2=0.1)
    factors = MfBpr(USERS, ITEMS, dim=3, l2=0.1, l2_kind="squared", generator=seeded(0, "parameters"))
    users = torch.arange(USERS)
    torch.testing.assert_close(graph.scores(Queries(users)), factors.scores(Queries(users)), rtol=0, atol=0)
    for name, term in graph.loss(triplets()).items():
        torch.testing.assert_close(term, factors.loss(triplets())[name])


def test_one_layer_sees_neighbours_and_nobody_else() -> None:
    model = build(layer_dims=(4,))
    before = torch.cat(model()).detach()
    with torch.no_grad():
        model.item_embedding[3] += 1.0
    changed = (torch.cat(model()) != before).any(1)
    assert changed.nonzero().flatten().tolist() == [2, USERS + 3]  # its only user, and itself


@pytest.mark.parametrize("kind", ["nodes", "entries"])
def test_dropout_acts_in_training_only_and_keeps_the_mean(kind: str) -> None:
    options = {"node_dropout": 0.5, "node_dropout_kind": kind, "layer_dims": (4,), "normalise": False, "bias": False}
    model = build(**options)
    plain = build(layer_dims=(4,), normalise=False, bias=False)
    plain.load_state_dict(model.state_dict())
    torch.testing.assert_close(torch.cat(model.eval()()), torch.cat(plain()))
    model.train()
    torch.manual_seed(0)
    x = torch.eye(USERS + ITEMS, dtype=torch.float64)
    draws = torch.stack([model.messages(x, model.kept_entries()) for _ in range(400)])
    messages = plain.messages(x, None)
    assert ((draws == 0) | torch.isclose(draws, 2 * messages)).all()  # whole messages, the rest scaled up
    torch.testing.assert_close(draws.mean(0), messages, rtol=0, atol=0.2)
    same = (draws[:, 0, USERS + 1] == 0) == (draws[:, 1, USERS + 1] == 0)  # item 1 to each of its users
    assert bool(same.all()) == (kind == "nodes")


def test_message_dropout_acts_in_training_only() -> None:
    model = build(message_dropout=0.5, normalise=False)
    torch.manual_seed(0)
    dropped = (torch.cat(model.train()())[:, 3:] == 0).double().mean()
    assert 0.25 < dropped < 0.75
    assert (torch.cat(model.eval()())[:, 3:] != 0).all()
