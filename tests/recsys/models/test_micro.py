from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from item_graph_reference import BATCH, EDGES, ITEMS, MISSING, USERS, Reference, agree, matrices, parameters_of, raw
from torch import Tensor

from augrec.artefacts.errors import DataError
from recsys.augmentation import SideInformation
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.models.lattice import LATTICE
from recsys.models.micro import MICRO
from recsys.models.options.lattice import LatticeOptions
from recsys.models.options.micro import MicroOptions
from recsys.objectives import two_views as two_views_module
from recsys.objectives.two_views import two_views

SMALL = {"dim": 4, "feature_dim": 5, "neighbours": 3, "fixed_share": 0.6, "l2": 0.1}


def build(names: tuple[str, ...] = ("text", "image"), arrays: dict[str, np.ndarray] | None = None, **o: Any) -> MICRO:
    options = MicroOptions.model_validate({**SMALL, **o})
    features = matrices(arrays or raw(names))
    return MICRO(EDGES, USERS, ITEMS, features, options, torch.Generator().manual_seed(0)).double()


def contrast_by_hand(anchor: list[Tensor], other: list[Tensor], temperature: float) -> Tensor:
    def power(x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(x @ y / ((x @ x) * (y @ y)).sqrt() / temperature)

    losses = []
    for i, own in enumerate(anchor):
        below = torch.zeros(()).double()
        for j in range(len(anchor)):
            below = below + power(own, other[j])
            if j != i:
                below = below + power(own, anchor[j])
        losses.append(-torch.log(power(own, other[i]) / below))
    return sum(losses, torch.zeros(()).double()) / len(losses)


class ByHand(Reference):
    def each(self) -> dict[str, list[Tensor]]:
        found = {}
        for name in self.arrays:
            fixed = self.normalised(self.cosine_graph(self.raw_vectors(name)))
            learned = self.normalised(self.cosine_graph(self.projected(name)))
            h = list(self.p["item_embedding"])
            for _ in range(self.o.item_layers):
                pairs = zip(self.step(fixed, h), self.step(learned, h), strict=True)
                h = [self.o.fixed_share * x + (1 - self.o.fixed_share) * y for x, y in pairs]
            found[name] = h
        return found

    def fused(self, each: dict[str, list[Tensor]]) -> list[Tensor]:
        if len(each) == 1:
            return next(iter(each.values()))
        rows = []
        for i in range(ITEMS):
            having = [name for name in each if i not in MISSING[name]] or list(each)
            power = {}
            for name in having:
                hidden = torch.tanh(self.p["attention.weight"] @ each[name][i] + self.p["attention.bias"])
                power[name] = torch.exp(self.p["query"][0] @ hidden)
            rows.append(sum(power[name] * each[name][i] for name in having) / sum(power.values()))
        return rows

    def forward(self) -> tuple[list[Tensor], list[Tensor]]:
        return self.embeddings(self.fused(self.each()))

    def loss(self) -> dict[str, Tensor]:
        each = self.each()
        fused = self.fused(each)
        terms = self.ranking(*self.embeddings(fused))
        if len(each) > 1:
            total = torch.zeros(()).double()
            for name, h in each.items():
                items = [i for i in range(ITEMS) if i not in MISSING[name]]
                if self.o.contrast_items == "batch":
                    items = [i for i in items if any(i in (p, n) for _, p, n in BATCH)]
                mine, whole = [h[i] for i in items], [fused[i] for i in items]
                total = total + contrast_by_hand(mine, whole, self.o.temperature)
            terms["contrast"] = self.o.contrast * total
        return terms


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"item_layers": 2, "contrast_items": "batch", "temperature": 0.2},
        {"rebuild": "step", "layers": 0, "contrast": 2.0},
    ],
)
def test_equals_the_equations(options: dict[str, Any]) -> None:
    model = build(**options)
    agree(model, ByHand(parameters_of(model), model.options, raw()), ("bpr", "l2", "contrast"))


def test_a_modality_that_an_item_lacks_gets_no_attention() -> None:
    """Compared before it is normalised, which hides the share of a row of zeros."""
    model = build(item_layers=2)
    reference = ByHand(parameters_of(model), model.options, raw())
    each = model.each_modality().detach()
    fused = model.fused(each)
    expected = torch.stack(reference.fused(dict(zip(("text", "image"), map(list, each), strict=True))))
    assert torch.allclose(fused, expected)
    only_image = [item for item in MISSING["text"] if item not in MISSING["image"]]
    assert only_image
    assert torch.allclose(fused[only_image], each[1][only_image])


def test_with_one_modality_it_is_lattice() -> None:
    model = build(("text",)).eval()
    options = LatticeOptions.model_validate(SMALL)
    lattice = LATTICE(EDGES, USERS, ITEMS, matrices(raw(("text",))), options, torch.Generator()).double().eval()
    lattice.load_state_dict(model.state_dict())
    for ours, theirs in zip(model(), lattice(), strict=True):
        assert torch.equal(ours, theirs)
    agree(model, ByHand(parameters_of(model), model.options, raw(("text",))), ("bpr", "l2"))


def test_blocks_change_neither_the_contrastive_loss_nor_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    anchor, other = torch.randn(2, 9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind(0)
    results = []
    for block in (2**24, 20):
        monkeypatch.setattr(two_views_module, "BLOCK", block)
        inputs = anchor.clone().requires_grad_(), other.clone().requires_grad_()
        loss = two_views(*inputs, 0.3)
        loss.backward()
        results.append((loss.detach(), inputs[0].grad, inputs[1].grad))
    for whole, parts in zip(*results, strict=True):
        assert torch.allclose(whole, parts)
    assert torch.allclose(results[0][0], contrast_by_hand(list(anchor), list(other), 0.3))
    assert two_views(anchor[:0], other[:0], 0.3) == 0


def test_shuffled_features_change_scores() -> None:
    model = build().eval()
    order = np.random.default_rng(3).permutation(ITEMS)
    arrays = {name: np.nan_to_num(array)[order] for name, array in raw().items()}
    shuffled = build(arrays=arrays).eval()
    shuffled.load_state_dict(model.state_dict())
    users = torch.arange(USERS)
    assert not torch.allclose(model.scores(Queries(users)), shuffled.scores(Queries(users)))
    assert torch.allclose(
        model.scores(Queries(users)), torch.cat([model.scores(Queries(part)) for part in users.split(3)])
    )


def test_a_missing_modality_is_an_error() -> None:
    dataset = Dataset.from_arrays(USERS, ITEMS, EDGES, np.empty((0, 2), int), np.empty((0, 2), int))
    with pytest.raises(DataError, match="'micro' needs item features"):
        MICRO.build(dataset, SideInformation(), MicroOptions(), torch.Generator())
