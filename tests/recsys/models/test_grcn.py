"""GRCN against its equations written out: loops over nodes and edges, float64, sharing no code with the model."""

from __future__ import annotations

import equations_reference
import numpy as np
import pytest
import torch
from equations_reference import (
    BATCH,
    ITEMS,
    MISSING,
    USERS,
    agree,
    bpr,
    copies,
    dots,
    features,
    leaky,
    matrices,
    triplets,
    zero,
)
from pydantic import ValidationError
from torch import Tensor

from recsys.models.grcn import GRCN
from recsys.models.options.grcn import GrcnOptions
from recsys.seeds import seeded

TRAIN = equations_reference.TRAIN[[1, 5, 2, 3, 4, 0]]  # not in order


def build(given: dict[str, np.ndarray] | None = None, **options: object) -> GRCN:
    given = features() if given is None else given
    chosen = GrcnOptions.model_validate({"dim": 4, "feature_dim": 4, "l2": 0.3, **options})
    return GRCN(TRAIN, USERS, ITEMS, matrices(given), chosen, seeded(0, "parameters")).double()


def unit(x: Tensor) -> Tensor:
    return x / x.norm() if x.norm() > 0 else x


class ByHand:
    def __init__(self, model: GRCN) -> None:
        self.p = copies(model)
        self.o = model.options
        self.of_user = {u: [int(i) for v, i in TRAIN if v == u] for u in range(USERS)}
        self.of_item = {i: [int(u) for u, j in TRAIN if j == i] for i in range(ITEMS)}

    @staticmethod
    def attend(x: Tensor, others: list[int], table: list[Tensor]) -> tuple[Tensor, dict[int, Tensor]]:
        if not others:
            return torch.zeros_like(x), {}
        powers = {other: torch.exp(x @ table[other]) for other in others}
        total = sum(powers.values())
        return sum(powers[o] / total * table[o] for o in others), {o: powers[o] / total for o in others}

    def channel(self, name: str, array: np.ndarray) -> tuple[list[Tensor], list[Tensor], dict, dict]:
        items = []
        for item, row in enumerate(array):
            x = self.p[f"channels.{name}.layer.weight"] @ torch.from_numpy(row).double()
            x = x + self.p[f"channels.{name}.layer.bias"]
            x = leaky(x, 0.01)
            items.append(torch.zeros_like(x) if item in MISSING[name] else unit(x))
        users = [unit(row) for row in self.p[f"channels.{name}.preference"]]
        for _ in range(self.o.routing):
            users = [unit(x + self.attend(x, self.of_user[u], items)[0]) for u, x in enumerate(users)]
        to_users = [self.attend(x, self.of_user[u], items) for u, x in enumerate(users)]
        to_items = [self.attend(x, self.of_item[i], users) for i, x in enumerate(items)]
        return (
            [x + message for x, (message, _) in zip(users, to_users, strict=True)],
            [x + message for x, (message, _) in zip(items, to_items, strict=True)],
            {(u, i): weight for u, (_, weights) in enumerate(to_users) for i, weight in weights.items()},
            {(u, i): weight for i, (_, weights) in enumerate(to_items) for u, weight in weights.items()},
        )

    def weight(self, affinities: list[Tensor], confidence: str, sender: int) -> Tensor:
        if self.o.weights == "mean":
            return sum(affinities) / len(affinities)
        if self.o.weights == "confidence":
            affinities = [a * self.p[confidence][sender, m] for m, a in enumerate(affinities)]
        largest = max(affinities, key=lambda a: a.item())
        return largest if largest > 0 or not self.o.pruning else 0.0 * largest

    def final(self) -> Tensor:
        channels = [self.channel(name, array) for name, array in features().items()]
        to_user = {e: self.weight([c[2][e] for c in channels], "item_confidence", e[1]) for e in map(tuple, TRAIN)}
        to_item = {e: self.weight([c[3][e] for c in channels], "user_confidence", e[0]) for e in map(tuple, TRAIN)}
        users, items = ([unit(row) for row in self.p[f"{side}_embedding"]] for side in ("user", "item"))
        totals = [*users, *items]
        for _ in range(self.o.layers):
            new_users = [sum((to_user[u, i] * items[i] for i in self.of_user[u]), 0 * users[u]) for u in range(USERS)]
            new_items = [sum((to_item[u, i] * users[u] for u in self.of_item[i]), 0 * items[i]) for i in range(ITEMS)]
            users, items = new_users, new_items
            totals = [total + x for total, x in zip(totals, [*users, *items], strict=True)]
        rows = []
        for node, ids in enumerate(totals):
            contents = [[*c[0], *c[1]][node] for c in channels]
            if self.o.fusion == "concat":
                rows.append(torch.cat([ids, *contents]))
            elif self.o.fusion == "mean":
                rows.append(sum([ids, *contents]) / (1 + len(contents)))
            else:
                rows.append(ids)
        return torch.stack(rows)

    def terms(self) -> dict[str, Tensor]:
        squares = zero()
        for u, i, j in BATCH:
            for table in ("user_embedding", "channels.text.preference", "channels.image.preference"):
                squares = squares + (self.p[table][u] ** 2).sum()
            squares = squares + (self.p["item_embedding"][i] ** 2).sum() + (self.p["item_embedding"][j] ** 2).sum()
        return {"bpr": bpr(dots(self.final())), "l2": self.o.l2 * squares / 2 / len(BATCH)}


VARIANTS = (
    {},
    {"weights": "max", "fusion": "mean", "routing": 1},
    {"weights": "mean", "fusion": "id", "layers": 1},
    {"pruning": False, "routing": 0},
    {"layers": 0, "feature_dim": 3},
)


@pytest.mark.parametrize("options", VARIANTS)
def test_forward_loss_and_a_step_are_the_equations(options: dict[str, object]) -> None:
    model = build(**options)
    by_hand = ByHand(model)
    torch.testing.assert_close(torch.cat(model()), by_hand.final(), rtol=1e-9, atol=1e-9)
    assert torch.cat(model()).shape[1] == model.embedding_dim
    agree(model, triplets(), by_hand.terms(), by_hand.p, rtol=1e-9, atol=1e-9, unused=True)


def test_pruning_removes_edges_that_a_negative_confidence_marks() -> None:
    model = build()
    contents = [channel(model.graph) for channel in model._channels()]
    with torch.no_grad():
        model.item_confidence.fill_(1.0)
        model.item_confidence[1] = -1.0
    to_users, _ = model.edge_weights(contents)
    removed = model.graph.column == 1
    assert (to_users[removed] == 0).all()
    assert (to_users[~removed] > 0).all()
    model.options = model.options.model_copy(update={"pruning": False})
    assert (model.edge_weights(contents)[0][removed] < 0).all()


def test_features_shape_the_graph_and_a_missing_vector_is_not_looked_at() -> None:
    ids_only = {"fusion": "id"}
    before = torch.cat(build(**ids_only)())
    shuffled = {name: np.roll(array, 1, axis=0) for name, array in features().items()}
    assert not torch.allclose(torch.cat(build(shuffled, **ids_only)()), before)
    changed = features()
    changed["text"][1] = 99.0
    assert torch.equal(torch.cat(build(changed, **ids_only)()), before)


def test_a_mean_needs_one_length() -> None:
    with pytest.raises(ValidationError, match="one length"):
        GrcnOptions(fusion="mean", dim=8, feature_dim=4)
