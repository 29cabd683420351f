"""MMGCN against its equations written out: loops over nodes, float64, sharing no code with the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from equations_reference import (
    BATCH,
    ITEMS,
    MISSING,
    TRAIN,
    USERS,
    agree,
    bpr,
    copies,
    dots,
    features,
    leaky,
    matrices,
    neighbours,
    triplets,
    zero,
)
from torch import Tensor

from recsys.models.mmgcn import MMGCN
from recsys.models.options.mmgcn import MmgcnOptions
from recsys.seeds import seeded


def build(given: dict[str, np.ndarray] | None = None, **options: object) -> MMGCN:
    given = features() if given is None else given
    chosen = MmgcnOptions.model_validate({"dim": 4, "layers": 2, "latent_dim": 5, "l2": 0.3, **options})
    return MMGCN(TRAIN, USERS, ITEMS, matrices(given), chosen, seeded(0, "parameters")).double()


class ByHand:
    def __init__(self, model: MMGCN) -> None:
        self.p = copies(model)
        self.o = model.options
        self.neighbours = neighbours()

    def linear(self, name: str, x: Tensor) -> Tensor:
        return self.p[f"{name}.weight"] @ x + self.p[f"{name}.bias"]

    def channel(self, name: str, array: np.ndarray) -> list[Tensor]:
        channel = f"channels.{name}"
        x = list(self.p[f"{channel}.preference"])
        for item, row in enumerate(array):
            vector = torch.from_numpy(row).double()
            if f"{channel}.latent.weight" in self.p:
                vector = self.linear(f"{channel}.latent", vector)
            x.append(torch.zeros_like(vector) if item in MISSING[name] else vector)
        x = [row / row.norm() if row.norm() > 0 else row for row in x]
        for layer in range(self.o.layers):
            after = []
            for node, mine in enumerate(self.neighbours):
                mean = torch.zeros_like(x[node])
                for other in mine:
                    mean = mean + x[other] / len(mine)
                h = leaky(self.p[f"{channel}.neighbours.{layer}"] @ mean, 0.01)
                own = leaky(self.linear(f"{channel}.own.{layer}", x[node]), 0.01)
                if self.o.id_embedding:
                    own = own + torch.cat([self.p["user_embedding"], self.p["item_embedding"]])[node]
                joint = f"{channel}.joint.{layer}"
                if self.o.combine == "concat":
                    after.append(leaky(self.linear(joint, torch.cat([h, own])), 0.01))
                else:
                    after.append(leaky(self.linear(joint, h) + own, 0.01))
            x = after
        return x

    def final(self) -> Tensor:
        channels = [self.channel(name, array) for name, array in features().items()]
        return torch.stack([sum(rows) / len(rows) for rows in zip(*channels, strict=True)])

    def terms(self) -> dict[str, Tensor]:
        squares = zero()
        for u, i, j in BATCH:
            for name in features():
                squares = squares + (self.p[f"channels.{name}.preference"][u] ** 2).sum()
            if self.o.id_embedding:
                squares = squares + (self.p["user_embedding"][u] ** 2).sum()
                squares = squares + (self.p["item_embedding"][i] ** 2).sum() + (self.p["item_embedding"][j] ** 2).sum()
        terms = {"bpr": bpr(dots(self.final()))}
        if not self.o.frozen_tables:
            terms["l2"] = self.o.l2 * squares / 2 / len(BATCH)
        return terms


VARIANTS = (
    {},
    {"combine": "add", "latent_dim": None, "layers": 3},
    {"id_embedding": False, "layers": 1},
    {"frozen_tables": True},
)


@pytest.mark.parametrize("options", VARIANTS)
def test_forward_loss_and_a_step_are_the_equations(options: dict[str, object]) -> None:
    model = build(**options)
    by_hand = ByHand(model)
    torch.testing.assert_close(torch.cat(model()), by_hand.final(), rtol=1e-6, atol=1e-7)  # the graph is float32
    agree(model, triplets(), by_hand.terms(), by_hand.p, rtol=1e-6, atol=1e-7)


def test_tables_are_trained_unless_frozen() -> None:
    tables = {"user_embedding", "item_embedding", "channels.text.preference", "channels.image.preference"}
    trained = {name for name, value in build().named_parameters() if value.requires_grad}
    frozen = {name for name, value in build(frozen_tables=True).named_parameters() if value.requires_grad}
    assert trained - frozen == tables
    assert tables <= set(build(frozen_tables=True).state_dict())


def test_only_long_modalities_get_a_latent_layer() -> None:
    names = dict(build().named_parameters())
    assert names["channels.text.latent.weight"].shape == (5, 6)
    assert "channels.image.latent.weight" not in names
    assert not any("latent" in name for name, _ in build(latent_dim=None).named_parameters())


def test_one_layer_sees_neighbours_and_nobody_else() -> None:
    model = build(layers=1)
    before = torch.cat(model()).detach()
    changed_features = features()
    changed_features["image"][3] = 9.0
    changed = (torch.cat(build(changed_features, layers=1)()) != before).any(1)
    assert changed.nonzero().flatten().tolist() == [2, USERS + 3]  # its only user, and itself


def test_a_missing_vector_is_not_looked_at() -> None:
    changed = features()
    changed["text"][1] = 99.0
    assert torch.equal(torch.cat(build(changed)()), torch.cat(build()()))
