"""LLMRec against the formulas written out: loops over neighbours, dense, float64, sharing no code with the model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.triplets import Triplets
from recsys.models.llmrec import LLMRec
from recsys.models.options.llmrec import LLMRecOptions

USERS, ITEMS, DIM = 7, 9, 4
EDGES = np.array(
    [(0, 1), (0, 2), (1, 2), (2, 0), (2, 3), (2, 4), (3, 5), (4, 1), (4, 6), (5, 2), (5, 7)]
)  # user 6, item 8
BATCH = [(0, 1, 5), (1, 2, 0), (2, 3, 7), (3, 5, 1), (4, 6, 8), (5, 7, 3), (2, 0, 6), (0, 2, 8)]
RATE = 0.3
WEIGHTS = (0.9, 0.1, 0.5, 1.0, 0.3, 0.8, 0.25, 0.6)


def build(seed: int = 0, **options: object) -> tuple[LLMRec, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    dense = {
        "modality/text": rng.normal(size=(ITEMS, 5)),
        "modality/image": rng.normal(size=(ITEMS, 3)),
        "profile/profile": rng.normal(size=(USERS, 6)),
        "attribute/title": rng.normal(size=(ITEMS, 6)),
        "attribute/country": rng.normal(size=(2, 6))[rng.integers(2, size=ITEMS)],
    }
    missing = {"profile/profile": [3], "attribute/title": [2, 8]}
    matrices = {name: FeatureMatrix.from_dense(array, missing.get(name, ())) for name, array in dense.items()}
    for name, rows in missing.items():
        dense[name][rows] = np.nan  # the reference must not look at them
    side = SideInformation(
        item={name: matrices[f"modality/{name}"] for name in ("text", "image")},
        user={"profile": matrices["profile/profile"]},
        attributes={name: matrices[f"attribute/{name}"] for name in ("title", "country")},
    )
    given = LLMRecOptions.model_validate({"dim": DIM, "prune_rate": RATE, **options})
    model = LLMRec(EDGES, USERS, ITEMS, side, given, torch.Generator().manual_seed(seed)).double()
    for name, array in dense.items():
        present = ~np.isnan(array[:, 0])
        dense[name] = np.where(present[:, None], array.astype(np.float32).astype(np.float64), np.nan)
    return model, dense


def triplets(weight: tuple[float, ...] | None = None) -> Triplets:
    user, positive, negative = torch.tensor(BATCH).unbind(1)
    weights = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    return Triplets(user, positive, negative, weights, 6)


class ByHand:
    """Section by section what the paper's code computes, for the parameters of a model."""

    def __init__(
        self, model: LLMRec, dense: dict[str, np.ndarray], weights: tuple[float, ...] = (1.0,) * len(BATCH)
    ) -> None:
        self.weights = weights
        self.p = {name: value.detach().clone().requires_grad_() for name, value in model.named_parameters()}
        self.o, self.dense = model.options, dense
        self.of_user = {u: [int(i) for v, i in EDGES if v == u] for u in range(USERS)}
        self.of_item = {i: [int(u) for u, j in EDGES if j == i] for i in range(ITEMS)}

    def hop(self, x: Tensor, neighbours: dict[int, list[int]], others: dict[int, list[int]]) -> Tensor:
        rows = []
        for mine in neighbours.values():
            total = torch.zeros(x.shape[1], dtype=torch.float64)
            for other in mine:
                degree = len(mine) + 1e-8 if self.o.norm == "row-sqrt" else len(mine) * len(others[other])
                total = total + x[other] / math.sqrt(degree)
            rows.append(total)
        return torch.stack(rows)

    def to_users(self, x: Tensor) -> Tensor:
        return self.hop(x, self.of_user, self.of_item)

    def to_items(self, x: Tensor) -> Tensor:
        return self.hop(x, self.of_item, self.of_user)

    def projected(self, name: str) -> Tensor:
        layer = "attribute" if name.startswith("attribute") and self.o.share_item_projection else name
        weight, bias = self.p[f"layers.{layer}.weight"], self.p[f"layers.{layer}.bias"]
        rows = []
        for vector in torch.from_numpy(self.dense[name]):
            rows.append(torch.zeros(DIM, dtype=torch.float64) if vector.isnan().any() else weight @ vector + bias)
        return torch.stack(rows)

    def forward(self) -> None:
        o = self.o
        self.users, self.items = {}, {}
        for name in self.dense:
            if name.startswith("profile"):
                self.items[name] = self.to_items(self.projected(name))
                self.users[name] = self.to_users(self.items[name])
            else:
                self.users[name] = self.to_users(self.projected(name))
                self.items[name] = self.to_items(self.users[name])
        u, i = [self.p["user_embedding"]], [self.p["item_embedding"]]
        for layer in range(o.layers):
            squash = (
                (lambda x: x.exp() / x.exp().sum(1, keepdim=True))
                if layer == o.layers - 1 and o.final_softmax
                else (lambda x: x)
            )
            u.append(squash(self.to_users(i[-1])))
            i.append(squash(self.to_items(u[-1])))
        self.final = []
        for ids, side in ((u, self.users), (i, self.items)):
            total = sum(ids) / len(ids)
            for name, x in side.items():
                scale = {"m": o.modality_scale, "p": o.profile_scale, "a": o.attribute_scale}[name[0]]
                rows = [row / row.norm() if row.norm() > 0 else row for row in x]
                total = total + scale * torch.stack(rows)
            self.final.append(total)

    def bpr(self, users: Tensor, items: Tensor) -> Tensor:
        values = [
            torch.log(1 / (1 + torch.exp(-(users[u] @ items[p] - users[u] @ items[n] + 1e-8)))) for u, p, n in BATCH
        ]
        pairs = sorted(zip(values, self.weights, strict=True), key=lambda pair: pair[0].item())
        kept = pairs[: int((1 - RATE) * len(pairs))]
        return -sum(weight * value for value, weight in kept) / sum(weight for _, weight in kept)

    def terms(self) -> dict[str, Tensor]:
        self.forward()
        o, (users, items) = self.o, self.final
        modalities = [name for name in self.dense if name.startswith("modality")]
        attributes = [name for name in self.dense if name.startswith("attribute")]
        rows = [torch.stack([table[t[c]] for t in BATCH]) for c, table in ((0, users), (1, items), (2, items))]
        squares = sum((side[name] ** 2).sum() for name in modalities for side in (self.users, self.items))
        return {
            "bpr": self.bpr(users, items),
            "l2": o.l2_weight * sum(1 / (2 * (part**2).sum()) for part in rows) / 6,
            "feature_reg": o.feature_reg * squares / 2 / ITEMS,
            "attribute_bpr": o.attribute_bpr
            * sum(self.bpr(self.users["profile/profile"], self.items[a]) for a in attributes),
            "modality_bpr": o.modality_bpr * sum(self.bpr(self.users[m], self.items[m]) for m in modalities),
        }


VARIANTS = (
    {},
    {"norm": "symmetric", "final_softmax": False, "layers": 3},
    {"share_item_projection": False, "layers": 1},
)


@pytest.mark.parametrize("options", VARIANTS)
def test_forward_is_the_formula(options: dict[str, object]) -> None:
    model, dense = build(**options)
    by_hand = ByHand(model, dense)
    by_hand.forward()
    found = model.propagate()
    for ours, theirs in zip((found.users, found.items), by_hand.final, strict=True):
        np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=1e-6, atol=1e-7)
    for group, users, items in (
        ("modality", found.modality_users, found.modality_items),
        ("attribute", found.attribute_users, found.attribute_items),
        ("profile", found.profile_users, found.profile_items),
    ):
        for position, name in enumerate(name for name in dense if name.startswith(group)):
            np.testing.assert_allclose(users[:, position].detach(), by_hand.users[name].detach(), rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(items[:, position].detach(), by_hand.items[name].detach(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("options", VARIANTS)
def test_every_loss_term_is_the_formula(options: dict[str, object]) -> None:
    model, dense = build(l2="inverted", **options)
    found, expected = model.loss(triplets()), ByHand(model, dense).terms()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=1e-6), name


def test_every_loss_term_weighs_suggested_edges_as_the_formula() -> None:
    scales = {"attribute_bpr": 0.5, "modality_bpr": 0.3}
    model, dense = build(**scales)
    found, expected = model.loss(triplets(WEIGHTS)), ByHand(model, dense, WEIGHTS).terms()
    plain = model.loss(triplets())
    for name in ("bpr", "attribute_bpr", "modality_bpr"):
        assert found[name].item() == pytest.approx(expected[name].item(), rel=1e-6), name
        assert found[name].item() != pytest.approx(plain[name].item(), rel=1e-6), name
    assert found["feature_reg"].item() == pytest.approx(plain["feature_reg"].item())


def test_one_adamw_step_is_the_formula() -> None:
    """Decoupled decay, and in the first step a move of lr * g / (|g| + eps) after bias correction."""
    lr, decay = 1e-2, 0.01
    scales = {"attribute_bpr": 0.5, "modality_bpr": 0.3, "feature_reg": 0.1}  # so that every term shapes the step
    model, dense = build(l2="inverted", l2_weight=0.2, **scales)
    by_hand = ByHand(model, dense)
    sum(by_hand.terms().values()).backward()
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=decay)
    torch.stack(list(model.loss(triplets()).values())).sum().backward()
    optimiser.step()
    for name, value in model.named_parameters():
        start, gradient = by_hand.p[name].detach(), by_hand.p[name].grad
        large = gradient.abs() > 1e-5  # near eps a rounding of the gradient decides the step
        expected = start * (1 - lr * decay) - lr * gradient / (gradient.abs() + 1e-8)
        assert large.any(), name
        np.testing.assert_allclose(value.detach()[large], expected[large], atol=1e-6, err_msg=name)
