"""CLCRec against loops over triplets and candidates in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from augrec.artefacts.errors import DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.base import Queries
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.models.clcrec import CLCRec
from recsys.models.options.clcrec import ClcrecOptions

USERS, ITEMS = 6, 10
EDGES = np.array([(0, 1), (0, 2), (1, 2), (2, 0), (2, 3), (2, 4), (3, 5), (4, 1), (4, 6), (5, 2), (5, 7)])  # 8, 9 new
BATCH = [
    (0, 1, 5),
    (1, 2, 9),
    (2, 3, 7),
    (3, 5, 1),
    (4, 6, 3),
    (5, 7, 3),
    (2, 0, 6),
    (0, 8, 5),
    (1, 6, 3),
]  # 8 and 6: suggested
WEIGHTS = [1.0, 2.0, 1.0, 0.5, 1.0, 1.0, 1.0, 0.25, 0.75]
MISSING = {"text": [3, 4], "image": [3, 9]}


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {"text": rng.normal(size=(ITEMS, 5)), "image": rng.normal(size=(ITEMS, 3))}
    for name, rows in MISSING.items():
        found[name][rows] = np.nan
    return found


def build(given: dict[str, np.ndarray] | None = None, **options: Any) -> CLCRec:
    features = {name: FeatureMatrix.from_dense(a, MISSING[name]) for name, a in (given or arrays()).items()}
    values = ClcrecOptions.model_validate({"dim": 4, "hidden_dim": 6, "negatives": 5, "temperature": 0.7, **options})
    return CLCRec(EDGES, USERS, ITEMS, features, values, torch.Generator().manual_seed(0)).double()


def triplets(rows: list[tuple[int, int, int]] = BATCH, weights: list[float] | None = WEIGHTS) -> Triplets:
    user, positive, negative = torch.tensor(rows).unbind(1)
    return Triplets(user, positive, negative, None if weights is None else torch.tensor(weights).double(), len(rows))


class ByHand:
    def __init__(self, model: CLCRec) -> None:
        self.p = {name: value.detach().clone().requires_grad_() for name, value in model.named_parameters()}
        self.o = model.options

    def content(self, i: int) -> Tensor | None:
        total, any_modality = torch.zeros(self.o.hidden_dim).double(), False
        for name, array in arrays().items():
            if not np.isnan(array[i]).any():
                x = torch.tensor(array[i].astype(np.float32).astype(np.float64))
                x = x / (x @ x).sqrt()
                total = total + self.p[f"inner.{name}.weight"] @ x + self.p[f"inner.{name}.bias"]
                any_modality = True
        hidden = torch.where(total > 0, total, 0.01 * total)
        return self.p["outer.weight"] @ hidden + self.p["outer.bias"] if any_modality else None

    @staticmethod
    def warm(i: int) -> bool:
        return bool((EDGES[:, 1] == i).any())

    def shown(self, i: int, replaced: bool) -> Tensor:
        content = self.content(i)
        return content if content is not None and (replaced or not self.warm(i)) else self.p["item_embedding"][i]

    def loss(self, drawn: Any) -> dict[str, Tensor]:
        users_items, items_features, counted = torch.zeros(()).double(), torch.zeros(()).double(), 0.0
        norm = {"user": [], "item": []}
        for row, ((u, i, j), weight) in enumerate(zip(BATCH, WEIGHTS, strict=True)):
            user = self.p["user_embedding"][u]
            candidates = [(i, bool(drawn.positive[row]))]
            if self.warm(j):
                candidates.append((j, bool(drawn.negative[row])))
            for item, replaced in zip(drawn.shared.tolist(), drawn.of_shared.tolist(), strict=True):
                if item != i and not any((v, k) == (u, item) for v, k in EDGES.tolist()):
                    candidates.append((item, replaced))
            powers = [torch.exp(user @ self.shown(*c) / self.o.temperature) for c in candidates]
            users_items = users_items - weight * torch.log(powers[0] / sum(powers))
            norm["user"].append((user @ user).sqrt())
            norm["item"] += [(z @ z).sqrt() for z in (self.p["item_embedding"][i], self.p["item_embedding"][j])]
            if self.content(i) is None or not self.warm(i):
                continue
            anchor = self.p["item_embedding"][i]
            powers = []
            for item, _ in candidates:
                f = self.content(item)
                if f is not None:
                    cosine = anchor @ f / ((anchor @ anchor) * (f @ f)).sqrt()
                    powers.append(torch.exp(cosine / self.o.temperature))
            items_features = items_features - weight * torch.log(powers[0] / sum(powers))
            counted += weight
        norm["item"] += [(z @ z).sqrt() for z in self.p["item_embedding"][drawn.shared]]
        share = self.o.feature_share
        return {
            "users_items": (1 - share) * users_items / sum(WEIGHTS),
            "items_features": share * items_features / counted,
            "l2": self.o.l2 * (sum(norm["user"]) / len(norm["user"]) + sum(norm["item"]) / len(norm["item"])) / 2,
        }


@pytest.mark.parametrize(
    "options", [{}, {"replaced": 0.0, "feature_share": 0.9}, {"replaced": 1.0, "l2": 1.0}, {"negatives": 60}]
)
def test_equals_the_equations(options: dict[str, Any]) -> None:
    model = build(**options)
    reference = ByHand(model)
    torch.manual_seed(4)
    drawn = model.draw(triplets())
    torch.manual_seed(4)
    terms, expected = model.loss(triplets()), reference.loss(drawn)
    assert list(terms) == list(expected)
    for name, value in terms.items():
        assert torch.allclose(value, expected[name], rtol=1e-6, atol=0), name
    sum(terms.values()).backward()
    sum(expected.values()).backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    for name, value in model.named_parameters():
        gradient = reference.p[name].grad
        assert gradient.abs().sum() > 0, name
        assert torch.allclose(value, reference.p[name] - gradient, rtol=0, atol=1e-6), name
    users, items = build(**options)()
    assert torch.allclose(users, reference.p["user_embedding"])
    for i in range(ITEMS):
        assert torch.allclose(items[i], reference.shown(i, replaced=False), atol=1e-6)


def test_a_suggested_positive_is_no_negative_of_its_own_triplet() -> None:
    """User 1 does not have item 6, so that only its being the positive keeps it from the shared negatives."""
    model, batch = build(), triplets([(1, 6, 3), (1, 5, 3)], None)
    _, outside = model._outside(batch, torch.tensor([6, 5, 2, 7]))
    assert outside.tolist() == [[True, False, True, False], [False, True, True, False]]


def test_the_negatives_of_a_step_are_items_of_the_training_data() -> None:
    model = build(negatives=500)
    shared = model.draw(triplets()).shared
    assert set(shared.tolist()) == set(EDGES[:, 1].tolist())


def test_new_items_are_scored_by_their_features_alone() -> None:
    model = build().eval()
    other = build({name: np.nan_to_num(a)[::-1].copy() for name, a in arrays().items()}).eval()
    other.load_state_dict(model.state_dict())
    users = torch.arange(USERS)
    same = torch.isclose(model.scores(Queries(users)), other.scores(Queries(users))).all(0)
    assert same.tolist() == [True] * 8 + [False] * 2
    assert torch.allclose(
        model.scores(Queries(users)), torch.cat([model.scores(Queries(part)) for part in users.split(4)])
    )


def test_it_learns_to_place_a_new_item_with_those_that_look_like_it() -> None:
    rng = np.random.default_rng(0)
    taste = np.arange(20) % 2
    edges = np.array([(u, i) for u in range(12) for i in range(16) if taste[i] == u % 2 and rng.random() < 0.8])
    looks = np.where(taste[:, None] == 0, 1.0, -1.0) + 0.3 * rng.normal(size=(20, 4))
    options = ClcrecOptions(dim=8, hidden_dim=8, negatives=8, temperature=0.5, l2=0.01)
    generator = torch.Generator().manual_seed(0)
    model = CLCRec(edges, 12, 20, {"text": FeatureMatrix.from_dense(looks)}, options, generator)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    torch.manual_seed(0)
    for _ in range(80):
        negative = rng.integers(0, 16, len(edges))
        optimiser.zero_grad()
        rows = [(int(u), int(i), int(j)) for (u, i), j in zip(edges, negative, strict=True) if j != i]
        sum(model.loss(triplets(rows, None)).values()).backward()
        optimiser.step()
    new = model.eval().scores(Queries(torch.arange(12)))[:, 16:]
    for u in range(12):
        assert new[u, taste[16:] == u % 2].min() > new[u, taste[16:] != u % 2].max()


def test_a_missing_modality_is_an_error() -> None:
    dataset = Dataset.from_arrays(USERS, ITEMS, EDGES, np.empty((0, 2), int), np.empty((0, 2), int))
    with pytest.raises(DataError, match="'clcrec' needs item features"):
        CLCRec.build(dataset, SideInformation(), ClcrecOptions(), torch.Generator())
