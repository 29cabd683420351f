from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from item_graph_reference import EDGES, ITEMS, USERS, Reference, agree, matrices, parameters_of, raw, triplets

from augrec.artefacts.errors import DataError
from recsys.augmentation import SideInformation
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.models.lattice import LATTICE
from recsys.models.lightgcn import LightGCN
from recsys.models.options.lattice import LatticeOptions
from recsys.models.options.lightgcn import LightGcnOptions


def build(names: tuple[str, ...] = ("text", "image"), seed: int = 0, **options: Any) -> LATTICE:
    given = LatticeOptions.model_validate(
        {"dim": 4, "feature_dim": 5, "neighbours": 3, "fixed_share": 0.6, "l2": 0.1, **options}
    )
    generator = torch.Generator().manual_seed(seed)
    model = LATTICE(EDGES, USERS, ITEMS, matrices(raw(names)), given, generator).double()
    if model.modality_weight is not None:
        model.modality_weight.data = torch.tensor([0.3, -0.4]).double()
    return model


class ByHand(Reference):
    def smoothed(self) -> list[torch.Tensor]:
        names = list(self.arrays)
        power = [torch.exp(w) for w in self.p["modality_weight"]] if len(names) > 1 else [torch.ones(()).double()]
        shares = [x / sum(power) for x in power]
        fixed = [self.normalised(self.cosine_graph(self.raw_vectors(name))) for name in names]
        learned = [[[0.0] * ITEMS for _ in range(ITEMS)] for _ in names]
        if self.o.fixed_share < 1:
            learned = [self.cosine_graph(self.projected(name)) for name in names]
            degrees = None
            if self.o.normalise == "mixed":
                degrees = [sum(a * sum(g[i]) for a, g in zip(shares, learned, strict=True)) for i in range(ITEMS)]
            learned = [self.normalised(g, degrees) for g in learned]
        h = list(self.p["item_embedding"])
        for _ in range(self.o.item_layers):
            total = [torch.zeros(4).double() for _ in range(ITEMS)]
            for a, f, g in zip(shares, fixed, learned, strict=True):
                by_fixed, by_learned = self.step(f, h), self.step(g, h)
                total = [
                    t + a * (self.o.fixed_share * x + (1 - self.o.fixed_share) * y)
                    for t, x, y in zip(total, by_fixed, by_learned, strict=True)
                ]
            h = total
        return h

    def forward(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        return self.embeddings(self.smoothed())

    def loss(self) -> dict[str, torch.Tensor]:
        return self.ranking(*self.forward())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"normalise": "mixed", "item_layers": 2},
        {"graph": "row-mean", "layers": 1, "include_self": False},
        {"learn_features": True, "rebuild": "step"},
        {"fixed_share": 1.0, "layers": 0},
        {"rebuild": "published", "fixed_share": 0.0},
    ],
)
def test_equals_the_equations(options: dict[str, Any]) -> None:
    model = build(**options)
    agree(model, ByHand(parameters_of(model), model.options, raw()), ("bpr", "l2"))


def test_one_modality_needs_no_weights() -> None:
    model = build(("text",))
    assert model.modality_weight is None
    agree(model, ByHand(parameters_of(model), model.options, raw(("text",))), ("bpr", "l2"))


def learned_weight(model: LATTICE) -> torch.Tensor:
    return model.layers["text"].weight


@pytest.mark.parametrize(("rebuild", "learns"), [("epoch", True), ("step", True), ("published", False)])
def test_when_the_learned_graph_learns_and_is_searched(rebuild: str, learns: bool) -> None:
    model = build(rebuild=rebuild)
    model.train()
    sum(model.loss(triplets()).values()).backward()
    assert learned_weight(model).grad.abs().sum() > 0
    first = model.patterns["text"]
    model.zero_grad()
    sum(model.loss(triplets()).values()).backward()
    assert (learned_weight(model).grad is not None) == learns
    assert (model.patterns["text"] is first) == (rebuild != "step")
    model.train()
    assert not model.patterns
    sum(model.loss(triplets()).values()).backward()
    assert learned_weight(model).grad.abs().sum() > 0


def test_evaluation_depends_on_parameters_alone() -> None:
    model, twin = build(), build(seed=1)
    model.train()
    model.loss(triplets())
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        for changed in (model, twin):
            changed.layers["text"].weight.add_(torch.randn(5, 6, generator=torch.Generator().manual_seed(2)))
    model.eval()
    twin.eval()
    users = torch.arange(USERS)
    assert torch.equal(model.scores(Queries(users)), twin.scores(Queries(users)))
    assert torch.allclose(
        model.scores(Queries(users)), torch.cat([model.scores(Queries(part)) for part in users.split(2)])
    )


def test_features_count_and_their_neighbours_hear_of_an_item() -> None:
    model = build(fixed_share=1.0).eval()
    arrays = {name: array[np.random.default_rng(3).permutation(ITEMS)] for name, array in raw().items()}
    arrays = {name: np.nan_to_num(array) for name, array in arrays.items()}
    shuffled = LATTICE(EDGES, USERS, ITEMS, matrices(arrays), model.options, torch.Generator()).double().eval()
    shuffled.load_state_dict(model.state_dict())
    before = model()[1]
    assert not torch.allclose(before, shuffled()[1])
    with torch.no_grad():
        model.item_embedding[4] += 1
    model.eval()
    changed = (model()[1] - before).abs().sum(1) > 1e-9
    text, image = (model.fixed[name].matrix().to_dense() for name in ("text", "image"))
    assert changed[(text + image)[:, 4] > 0].all()


def test_without_any_vector_an_item_keeps_its_own_embedding() -> None:
    model = build().eval()
    plain = LightGCN(EDGES, USERS, ITEMS, LightGcnOptions(dim=4, layers=2, l2=0.0), torch.Generator()).double()
    plain.load_state_dict({name: model.state_dict()[name] for name in ("user_embedding", "item_embedding")})
    assert torch.allclose(model()[0], plain()[0])
    assert torch.allclose(model()[1][8], plain()[1][8])
    assert not torch.allclose(model()[1][3], plain()[1][3])


def test_a_missing_modality_is_an_error() -> None:
    dataset = Dataset.from_arrays(USERS, ITEMS, EDGES, np.empty((0, 2), int), np.empty((0, 2), int))
    options = LatticeOptions(modalities=("text", "sound"))
    with pytest.raises(DataError, match="'lattice' asks for the item modality 'sound'"):
        LATTICE.build(dataset, SideInformation(item=matrices(raw())), options, torch.Generator())
