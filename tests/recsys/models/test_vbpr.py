"""VBPR against its equation written out: loops over pairs, float64, sharing no code with the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from equations_reference import agree, bpr, copies, matrices, triplets, zero
from torch import Tensor

from recsys.batches.base import Queries
from recsys.models.mf_bpr import MfBpr
from recsys.models.options.vbpr import VbprOptions
from recsys.models.vbpr import VBPR
from recsys.seeds import seeded

USERS, ITEMS = 4, 9
MISSING = {"text": (2, 7), "image": ()}
BATCH = [(0, 1, 3), (1, 2, 0), (0, 0, 8), (2, 3, 7), (3, 2, 2)]
WEIGHT = [1.0, 1.0, 0.5, 2.0, 1.0]


def features() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "text": rng.normal(size=(ITEMS, 5)).astype(np.float32),
        "image": rng.normal(size=(3, 2)).astype(np.float32)[rng.integers(3, size=ITEMS)],  # rows that repeat
    }


def build(given: dict[str, np.ndarray] | None = None, **options: object) -> VBPR:
    given = features() if given is None else given
    chosen = VbprOptions.model_validate({"dim": 3, "feature_dim": 2, "l2": 0.3, "feature_l2": 0.2, **options})
    model = VBPR(USERS, ITEMS, matrices(given, MISSING), chosen, seeded(0, "parameters"))
    if model.item_bias is not None:
        torch.nn.init.normal_(model.item_bias, generator=seeded(1, "bias"))
    return model.double()


class ByHand:
    def __init__(self, model: VBPR) -> None:
        self.p = copies(model)
        self.o = model.options
        self.features = {}
        for name, array in features().items():
            rows = [torch.from_numpy(row).double() for row in array]
            known = [row for i, row in enumerate(rows) if i not in MISSING[name]]
            mean = sum(known) / len(known) if self.o.preprocess == "centre" else torch.zeros_like(rows[0])
            self.features[name] = {i: row - mean for i, row in enumerate(rows) if i not in MISSING[name]}

    def score(self, u: int, i: int) -> Tensor:
        person, total = self.p["user_embedding"][u], zero()
        total = total + person[:3] @ self.p["item_embedding"][i]
        if self.o.item_bias:
            total = total + self.p["item_bias"][i, 0]
        for name, rows in self.features.items():
            if i in rows:
                total = total + person[3:] @ (self.p[f"projections.{name}"] @ rows[i])
                if self.o.feature_bias:
                    total = total + self.p[f"feature_biases.{name}"][0] @ rows[i]
        return total

    def terms(self, rows: int) -> dict[str, Tensor]:
        squares, weights = zero(), zero()
        for u, i, j in BATCH[:rows]:
            squares = squares + (self.p["user_embedding"][u] ** 2).sum()
            for item in (i, j):
                squares = squares + (self.p["item_embedding"][item] ** 2).sum()
                if self.o.item_bias:
                    squares = squares + self.p["item_bias"][item, 0] ** 2
        for name, value in self.p.items():
            if name.startswith(("projections", "feature_biases")):
                weights = weights + (value**2).sum()
        return {
            "bpr": bpr(self.score, BATCH[:rows], WEIGHT[:rows]),
            "l2": self.o.l2 * squares / 2 / rows,
            "feature_l2": self.o.feature_l2 * weights / 2,
        }


@pytest.mark.parametrize("rows", [2, len(BATCH)])  # fewer rows than items are projected one by one
@pytest.mark.parametrize("options", [{}, {"preprocess": "centre"}, {"item_bias": False, "feature_bias": False}])
def test_scores_loss_and_a_step_are_the_equation(options: dict[str, object], rows: int) -> None:
    model = build(**options)
    by_hand = ByHand(model)
    expected_scores = torch.stack([torch.stack([by_hand.score(u, i) for i in range(ITEMS)]) for u in range(USERS)])
    users, items = model()
    torch.testing.assert_close(users @ items.T, expected_scores, rtol=1e-6, atol=1e-6)  # features are float32
    agree(model, triplets(BATCH[:rows], WEIGHT[:rows]), by_hand.terms(rows), by_hand.p, rtol=1e-6, atol=1e-6)


def test_without_features_and_biases_it_is_matrix_factorisation() -> None:
    model = build(feature_bias=False, item_bias=False)
    factors = MfBpr(USERS, ITEMS, dim=3, l2=0.3, l2_kind="squared", generator=seeded(0, "x")).double()
    with torch.no_grad():
        model.user_embedding[:, 3:] = 0.0
        factors.user_embedding.copy_(model.user_embedding[:, :3])
        factors.item_embedding.copy_(model.item_embedding)
    torch.testing.assert_close(model.scores(Queries(torch.arange(USERS))), factors.scores(Queries(torch.arange(USERS))))


def test_other_features_give_other_scores_and_a_missing_vector_is_not_looked_at() -> None:
    users = torch.arange(USERS)
    before = build().scores(Queries(users))
    changed = features()
    changed["text"][list(MISSING["text"])] = 99.0
    assert torch.equal(build(changed).scores(Queries(users)), before)
    shuffled = {name: np.roll(array, 1, axis=0) for name, array in features().items()}
    assert not torch.allclose(build(shuffled).scores(Queries(users)), before)
