from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.aligners.base import Embeddings
from recsys.aligners.gen import Gen
from recsys.aligners.options import GenOptions
from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from recsys.draws import Draws
from recsys.seeds import seeded

START, DIM = 3, 4


def build(data: Dataset, side: SideInformation, **options: Any) -> Gen:
    gen = Gen.build(
        data, side, GenOptions(**options), start_dim=START, final_dim=DIM, generator=seeded(0, "p")
    ).double()
    with torch.no_grad():
        gen.token.fill_(7.0)
    return gen


def table(data: Dataset, dim: int) -> Embeddings:
    generator = torch.Generator().manual_seed(1)
    users, items = (torch.randn(n, dim, generator=generator, dtype=torch.float64) for n in (data.n_users, data.n_items))
    return Embeddings(users.requires_grad_(), items.requires_grad_())


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def looped(gen: Gen, final: Embeddings, side: SideInformation, nodes: list[int]) -> float:
    rows = torch.cat([final.users, final.items])
    texts = [torch.from_numpy(m.dense()).double() for m in (side.user["profile"], side.item["text"])]
    told, texts_of = [gen.mlp(rows[node]) for node in nodes], [torch.cat(texts)[node] for node in nodes]

    def cosine(a: Tensor, b: Tensor) -> float:
        return float(a @ b) / float(a.norm() * b.norm())

    t, floor, total = gen.options.temperature, gen.options.floor, 0.0
    for i, mine in enumerate(told):
        powers = [math.exp(cosine(mine, other) / t) for other in texts_of]
        total -= math.log(powers[i] / (sum(powers) + floor) + floor)
    return total / len(nodes)


@pytest.mark.parametrize("options", [{}, {"floor": 0.01}, {"temperature": 1.0, "hidden": 0.5}, {"bank": 2}])
def test_the_term_is_that_of_every_hidden_node_for_itself(
    data: Dataset, side: SideInformation, options: dict[str, Any]
) -> None:
    gen, final = build(data, side, weight=0.3, **options), table(data, DIM)
    gen.start(table(data, START), draws())
    nodes = gen.hidden.tolist()[: options.get("bank", 99)]
    assert gen.terms(final, None, draws())["gen"].item() == pytest.approx(0.3 * looped(gen, final, side, nodes))


def test_hidden_rows_start_as_the_same_vector_and_the_others_as_they_are(data: Dataset, side: SideInformation) -> None:
    gen, given = build(data, side, hidden=0.4), table(data, START)
    shown = torch.cat(gen.start(given, draws()))
    hidden = torch.zeros(len(shown), dtype=torch.bool)
    hidden[gen.hidden] = True
    assert len(gen.hidden) == int(0.4 * (data.n_users + data.n_items - 3)) == int(hidden.sum())
    assert (shown[hidden] == 7).all()
    assert torch.equal(shown[~hidden], torch.cat(given)[~hidden])
    shown.sum().backward()
    assert gen.token.grad is not None
    assert gen.token.grad.tolist() == [[len(gen.hidden)] * START]
    assert torch.equal(torch.cat([g.grad for g in given if g.grad is not None])[:, 0] == 0, hidden)


def test_those_without_a_text_are_never_hidden(data: Dataset, side: SideInformation) -> None:
    gen = build(data, side, hidden=1.0)
    gen.start(table(data, START), draws())
    without = {3, 4, data.n_users + 5}
    assert set(gen.hidden.tolist()) == set(range(data.n_users + data.n_items)) - without


def test_at_least_one_is_hidden_and_who_follows_the_seed(data: Dataset, side: SideInformation) -> None:
    gen, given = build(data, side, hidden=0.001), table(data, START)
    drawn = []
    for seed in (0, 0, 1, 2, 3):
        gen.start(given, draws(seed))
        drawn.append(gen.hidden.tolist())
    assert all(len(nodes) == 1 for nodes in drawn)
    assert drawn[0] == drawn[1]
    assert len({nodes[0] for nodes in drawn}) > 1
