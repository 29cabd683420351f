"""DCCF against its equations written out: loops over nodes and neighbours, float64, sharing no code with the model."""

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
    neighbours,
    triplets,
    zero,
)
from torch import Tensor

from recsys.models.dccf import DCCF, PropagatedLayers
from recsys.models.lightgcn import LightGCN
from recsys.models.options.dccf import DccfOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.seeds import seeded

NODES = range(USERS + ITEMS)


def build(dtype: torch.dtype = torch.float64, **options: object) -> DCCF:
    given = {"dim": 3, "layers": 2, "intents": 5, "contrast": 0.4, "temperature": 0.3, "l2": 0.2, **options}
    return DCCF(TRAIN, USERS, ITEMS, DccfOptions.model_validate(given), seeded(0, "parameters")).to(dtype)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """0 where a vector is 0, with a gradient of 0."""
    if not a.norm() or not b.norm():
        return zero()
    return a @ b / (a.norm() * b.norm())


def info_nce(anchors: list[Tensor], others: list[Tensor], temperature: float) -> Tensor:
    total = zero()
    for a, own in zip(anchors, others, strict=True):
        row = [_guarded(a) @ _guarded(other) / temperature for other in others]
        total = total - _guarded(a) @ _guarded(own) / temperature + torch.log(sum(value.exp() for value in row))
    return total


def _guarded(x: Tensor) -> Tensor:
    return x / torch.sqrt(1e-8 + x @ x)


class ByHand:
    def __init__(self, model: DCCF) -> None:
        self.p, self.o, self.neighbours = copies(model), model.options, neighbours()

    def layers(self) -> tuple[Tensor, list[list[list[Tensor]]]]:
        """Final rows of all nodes, and for each layer g, t, a_g and a_t as lists of rows."""
        h = [*self.p["user_embedding"], *self.p["item_embedding"]]
        final, layers = list(h), []
        for _ in range(self.o.layers):
            local, intents = [], []
            for node, mine in enumerate(self.neighbours):
                received = torch.zeros_like(h[node])
                for other in mine:
                    received = received + h[other] / math.sqrt(len(mine) * len(self.neighbours[other]))
                local.append(received)
                of_side = self.p["user_intents" if node < USERS else "item_intents"]
                powers = [(h[node] @ of_side[:, k]).exp() for k in range(self.o.intents)]
                intents.append(sum(w * of_side[:, k] for k, w in enumerate(powers)) / sum(powers))
            layer = [local, intents, self.adaptive(local, h), self.adaptive(intents, h)]
            h = [h[node] + sum(part[node] for part in layer) for node in NODES]
            final = [final[node] + h[node] for node in NODES]
            layers.append(layer)
        return torch.stack(final), layers

    def adaptive(self, compared: list[Tensor], h: list[Tensor]) -> list[Tensor]:
        received = []
        for node, mine in enumerate(self.neighbours):
            weights = [(cosine(compared[node], compared[other]) + 1) / 2 for other in mine]
            parts = [w * h[other] for w, other in zip(weights, mine, strict=True)]
            received.append(sum(parts) / sum(weights) if mine else torch.zeros_like(h[node]))
        return received

    def terms(self) -> dict[str, Tensor]:
        final, layers = self.layers()
        users = sorted({u for u, _, _ in BATCH})
        items = sorted({USERS + i for _, i, _ in BATCH})
        if self.o.contrast_negatives:
            items = sorted({*items, *(USERS + j for _, _, j in BATCH)})
        contrast = zero()
        for local, *views in layers:
            for view in views:
                for nodes, divisor in ((users, users), (items, users if self.o.items_by_users else items)):
                    anchors, others = ([part[node] for node in nodes] for part in (local, view))
                    contrast = contrast + info_nce(anchors, others, self.o.temperature) / len(divisor)
        return {"bpr": bpr(dots(final)), "l2": self.o.l2 * self.penalty(), "contrast": self.o.contrast * contrast}

    def penalty(self) -> Tensor:
        if self.o.l2_kind == "all":
            return sum((value**2).sum() for value in self.p.values()) + zero()
        squares = zero()
        for u, i, j in BATCH:
            squares = squares + (self.p["user_embedding"][u] ** 2).sum()
            squares = squares + (self.p["item_embedding"][[i, j]] ** 2).sum()
        return squares / 2 / len(BATCH)


@pytest.mark.parametrize(
    "options", [{}, {"released": True}, {"contrast_negatives": True}, {"layers": 1, "items_by_users": True}]
)
def test_forward_loss_and_a_step_are_the_equations(options: dict[str, object]) -> None:
    model = build(**options)
    by_hand = ByHand(model)
    torch.testing.assert_close(torch.cat(model()), by_hand.layers()[0], rtol=1e-6, atol=1e-7)  # the graph is float32
    agree(model, triplets(), by_hand.terms(), by_hand.p, rtol=1e-6, atol=1e-7)


def test_released_is_rlmrecs_code_and_nothing_given_beside_it_is_changed() -> None:
    assert DccfOptions(released=True) == DccfOptions(released=True, items_by_users=True, l2_kind="all")
    assert not DccfOptions(released=True, items_by_users=False).items_by_users
    assert not DccfOptions().items_by_users


def test_a_contrast_without_weight_is_not_computed() -> None:
    assert build(contrast=0.0).loss(triplets()).keys() == {"bpr", "l2"}


def test_no_layers_are_those_of_lightgcn() -> None:
    dccf = build(torch.float32, layers=0)
    options = LightGcnOptions(dim=3, layers=0, l2=0.2)
    factors = LightGCN(TRAIN, USERS, ITEMS, options, seeded(0, "parameters"))
    terms = dccf.loss(triplets())
    assert terms.pop("contrast") == 0
    for name, term in factors.loss(triplets()).items():
        torch.testing.assert_close(terms[name], term)


def test_an_adaptive_message_is_a_mean_whatever_the_likeness() -> None:
    """Where all neighbours are alike before, a node receives what they are."""
    model = build(layers=1)
    with torch.no_grad():
        model.item_embedding[:] = torch.tensor([1.0, -2.0, 0.5])
    passed = model.propagate(model.table(), model.draw)
    assert isinstance(passed, PropagatedLayers)
    for view in passed.layers[0].views[1:]:
        torch.testing.assert_close(view.users[:3], model.item_embedding[:3].detach(), rtol=1e-6, atol=1e-7)
        assert not view.users[3].any()  # has no neighbours


def test_a_node_that_receives_nothing_has_no_gradient_through_its_likeness() -> None:
    """Neighbours at 0, as rows that an aligner hides start: their local message is 0, and so is its length."""
    model = build()
    with torch.no_grad():
        model.item_embedding[:2] = 0.0  # all that user 0 has
    passed = model.propagate(model.table(), model.draw)
    assert isinstance(passed, PropagatedLayers)
    assert not passed.layers[0].local.users[0].any()
    torch.stack(list(model.terms(passed, triplets()).values())).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
