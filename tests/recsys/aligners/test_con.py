from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from augrec.artefacts.errors import DataError
from recsys.aligners.base import Embeddings
from recsys.aligners.con import Con
from recsys.aligners.options import ConOptions
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.draws import Draws
from recsys.models.build import build_model
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.seeds import seeded

DIM = 4
BATCH = Triplets(torch.tensor([0, 0, 3, 9, 10]), torch.tensor([7, 8, 2, 2, 5]), torch.tensor([1, 1, 1, 0, 12]), None, 5)


def build(data: Dataset, side: SideInformation, **options: Any) -> Con:
    return Con.build(data, side, ConOptions(**options), start_dim=DIM, final_dim=DIM, generator=seeded(0, "p")).double()


def embeddings(data: Dataset) -> Embeddings:
    generator = torch.Generator().manual_seed(1)
    users, items = (torch.randn(n, DIM, generator=generator, dtype=torch.float64) for n in (data.n_users, data.n_items))
    return Embeddings(users.requires_grad_(), items.requires_grad_())


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def looped(con: Con, final: Embeddings, side: SideInformation, batch: Triplets) -> float:
    """The term, a row after the other."""

    def told(matrix: FeatureMatrix) -> Tensor:
        return con.mlp(torch.from_numpy(matrix.dense()).double())

    def cosine(a: Tensor, b: Tensor) -> float:
        a, b = a.detach(), b.detach()
        return float(a @ b) / math.sqrt((float(a @ a) + 1e-8) * (float(b @ b) + 1e-8))

    def n(table: Tensor, ids: list[int], matrix: FeatureMatrix, candidates: list[int]) -> float:
        texts, t = told(matrix), con.options.temperature
        total = 0.0
        for k in (k for k in ids if matrix.mask[k]):
            powers = sum(math.exp(cosine(table[k], texts[z]) / t) for z in candidates if matrix.mask[z])
            total += math.log(powers) - cosine(table[k], texts[k]) / t
        return total

    users, items = side.user["profile"], side.item["text"]
    total = n(final.users, batch.user.tolist(), users, list(range(users.rows)))
    for ids in (batch.positive.tolist(), batch.negative.tolist())[: 1 + con.options.negative_items]:
        total += n(final.items, ids, items, ids if con.options.repeated else sorted(set(ids)))
    return con.options.weight / len(batch) * total


@pytest.mark.parametrize("options", [{}, {"repeated": True}, {"negative_items": False}, {"temperature": 1.0}])
def test_the_term_is_that_of_every_row_for_itself(
    data: Dataset, side: SideInformation, options: dict[str, Any]
) -> None:
    con, final = build(data, side, weight=0.7, **options), embeddings(data)
    found = con.terms(final, BATCH, draws())["con"]
    assert found.item() == pytest.approx(looped(con, final, side, BATCH))


def test_those_without_a_text_have_no_part_in_it(data: Dataset, side: SideInformation) -> None:
    con, final = build(data, side), embeddings(data)
    con.terms(final, BATCH, draws())["con"].backward()
    assert final.users.grad is not None
    assert final.items.grad is not None
    moved = [table.grad.abs().sum(1).nonzero()[:, 0].tolist() for table in final]
    assert moved == [[0, 9, 10], [0, 1, 2, 7, 8, 12]]  # not user 3, not item 5
    only = Triplets(torch.tensor([3]), torch.tensor([5]), torch.tensor([5]), None, 1)
    assert con.terms(embeddings(data), only, draws())["con"].item() == 0


def test_only_texts_that_the_term_reads_are_encoded(data: Dataset, side: SideInformation) -> None:
    encoded: list[int] = []
    for bank, expected in (("all", [15, 5]), (2, [2, 4])):
        con = build(data, side, bank=bank)
        con.mlp.register_forward_hook(lambda module, given, out: encoded.append(len(given[0])))
        con.sums(embeddings(data), BATCH, draws())
        assert encoded[0] == expected[0]  # users with a text; of items 7 and 8 have one text
        assert encoded[1] <= expected[1]
        encoded.clear()


def test_a_bank_that_holds_the_batch_is_the_batch_among_itself(data: Dataset, side: SideInformation) -> None:
    final = embeddings(data)
    values = {bank: build(data, side, bank=bank).sums(final, BATCH, draws()) for bank in ("all", 5, 100)}
    for name in ("positives", "negatives"):
        assert len({round(float(sums[name]), 9) for sums in values.values()}) == 1
    assert values[5]["users"].item() == pytest.approx(values[100]["users"].item())
    assert values[5]["users"].item() < values["all"]["users"].item()  # fewer candidates


def test_a_bank_draws_equally_much_for_any_batch(data: Dataset, side: SideInformation) -> None:
    """So processes with shares of a batch stay in step."""
    con, left = build(data, side, bank=2), []
    for rows in (slice(0, 2), slice(0, 5)):
        draw = draws()
        part = Triplets(BATCH.user[rows], BATCH.positive[rows], BATCH.negative[rows], None, 2)
        con.sums(embeddings(data), part, draw)
        left.append(draw.uniform("next", 1).item())
    assert left[0] == left[1]


def test_a_weight_of_zero_is_no_aligner(data: Dataset, side: SideInformation) -> None:
    batch, values = BATCH, []
    for aligner in ({"kind": "none"}, {"kind": "con", "weight": 0.0}):
        options = LightGcnOptions.model_validate({"dim": DIM, "layers": 2, "aligner": aligner})
        model = build_model(data, side, options, seeded(0, "parameters")).train()
        terms = model.loss(batch)  # type: ignore[operator]
        torch.stack(list(terms.values())).sum().backward()
        values.append(({name: float(v.detach()) for name, v in terms.items()}, model.user_embedding.grad))
    assert values[0][0] == values[1][0]
    assert torch.equal(values[0][1], values[1][1])


@pytest.mark.parametrize(
    ("user", "item", "options", "message"),
    [
        ({}, {"text": 6}, {}, "needs user features"),
        ({"profile": 6}, {}, {}, "needs item features"),
        ({"profile": 6}, {"text": 6, "image": 6}, {}, "several item features"),
        ({"profile": 6}, {"text": 6, "image": 5}, {"item_text": "image"}, "length 6 and item vectors of length 5"),
        ({"profile": 6}, {"text": 6}, {"item_text": "tekst"}, "'tekst', which the data do not have"),
    ],
)
def test_texts_that_are_not_there_are_named(
    data: Dataset, user: dict[str, int], item: dict[str, int], options: dict[str, Any], message: str
) -> None:
    def matrices(rows: int, dims: dict[str, int]) -> dict[str, FeatureMatrix]:
        return {name: FeatureMatrix.from_dense(np.ones((rows, dim))) for name, dim in dims.items()}

    side = SideInformation(user=matrices(data.n_users, user), item=matrices(data.n_items, item))
    with pytest.raises(DataError, match=message) as caught:
        build(data, side, **options)
    assert caught.value.remedy


def test_texts_of_nobody_are_refused_and_profiles_preferred(data: Dataset, side: SideInformation) -> None:
    empty = FeatureMatrix.from_dense(np.ones((data.n_users, 6)), range(data.n_users))
    with pytest.raises(DataError, match="no user has a vector"):
        build(data, SideInformation(user={"profile": empty}, item=side.item))
    both = SideInformation(user=side.user, item={"text": side.item["text"], "profile": side.item["text"]})
    assert build(data, both).items.dim == 6
