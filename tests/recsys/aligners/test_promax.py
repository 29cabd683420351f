"""ProMax: whitening, and the term against loops over users and items."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recsys.aligners.base import Embeddings
from recsys.aligners.options import ProMaxOptions
from recsys.aligners.promax import ProMax, whitened
from recsys.aligners.texts import Texts
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.draws import Draws
from recsys.models.build import build_model
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.registry import FAMILIES
from recsys.seeds import seeded

DIM = 4
BATCH = Triplets(torch.tensor([0, 0, 3, 9, 10]), torch.tensor([7, 8, 2, 2, 5]), torch.tensor([1, 1, 1, 0, 12]), None, 5)
"""User 3 and item 5 have no text."""


def build(data: Dataset, side: SideInformation, **options: Any) -> ProMax:
    given = ProMaxOptions(**options)
    return ProMax.build(data, side, given, start_dim=DIM, final_dim=DIM, generator=seeded(0, "p")).double()


def embeddings(data: Dataset) -> Embeddings:
    generator = torch.Generator().manual_seed(1)
    users, items = (torch.randn(n, DIM, generator=generator, dtype=torch.float64) for n in (data.n_users, data.n_items))
    return Embeddings(users.requires_grad_(), items.requires_grad_())


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def components(matrices: list[FeatureMatrix], count: int) -> list[np.ndarray]:
    """Principal components by a decomposition of the rows of everybody who has a text; zeros where there is none."""
    there = np.concatenate([matrix.dense()[matrix.mask] for matrix in matrices]).astype(float)
    mean = there.mean(axis=0)
    _, values, directions = np.linalg.svd(there - mean, full_matrices=False)
    scale = np.sqrt(len(there) - 1) / values[:count]
    return [((matrix.dense() - mean) @ directions[:count].T) * scale * matrix.mask[:, None] for matrix in matrices]


def softmax(row: np.ndarray, others: dict[int, np.ndarray], temperature: float) -> dict[int, float]:
    def cosine(z: np.ndarray) -> float:
        return float(row @ z) / math.sqrt((float(row @ row) + 1e-8) * (float(z @ z) + 1e-8))

    powers = {item: math.exp(cosine(z) / temperature) for item, z in others.items()}
    return {item: power / sum(powers.values()) for item, power in powers.items()}


@pytest.mark.parametrize("whitening", ["joint", "separate"])
def test_the_term_is_that_of_each_user_of_the_batch_who_has_a_text(
    data: Dataset, side: SideInformation, whitening: str
) -> None:
    given = {"weight": 0.7, "temperature": 0.3, "text_temperature": 0.5, "components": 3, "whitening": whitening}
    aligner, final = build(data, side, **given), embeddings(data)
    matrices = [side.user["profile"], side.item["text"]]
    if whitening == "joint":
        users, items = components(matrices, 3)
    else:  # components have no sign of their own: those of the aligner are as good
        users = aligner.user_text[aligner.users.place].numpy()
        items = aligner.item_text[aligner.items.place].numpy()
        for found, matrix in ((users, matrices[0]), (items, matrices[1])):
            np.testing.assert_allclose(np.abs(found)[matrix.mask], np.abs(components([matrix], 3)[0])[matrix.mask],
                                       atol=1e-4)  # fmt: skip
    told = [item for item in range(data.n_items) if matrices[1].mask[item]]
    total, counted = 0.0, [0, 9, 10]
    for user in counted:
        p = softmax(users[user], {item: items[item] for item in told}, 0.5)
        q = softmax(
            final.users[user].detach().numpy(), {item: final.items[item].detach().numpy() for item in told}, 0.3
        )
        entropy = -sum(share * math.log(share) for share in p.values())
        weight = min(max(1 - entropy / math.log(len(told)), 0.1), 1.0)
        total -= weight * sum(share * math.log(q[item]) for item, share in p.items())
    found = aligner.terms(final, BATCH, draws())["promax"]
    assert found.item() == pytest.approx(0.7 * total / len(counted), rel=1e-5)


def test_those_without_a_text_are_not_moved_and_all_other_items_are(data: Dataset, side: SideInformation) -> None:
    aligner, final = build(data, side), embeddings(data)
    aligner.terms(final, BATCH, draws())["promax"].backward()
    moved = [table.grad.abs().sum(1).nonzero()[:, 0].tolist() for table in final]  # type: ignore[union-attr]
    assert moved == [[0, 9, 10], [item for item in range(data.n_items) if item != 5]]


def test_whitened_texts_have_variance_one_and_no_more_directions_than_they_vary_in() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 6)) + 3.0
    texts = Texts(FeatureMatrix.from_dense(np.concatenate([flat, flat[:10]])))
    (found,) = whitened([texts], 5)
    everybody = found[texts.place].double()
    assert found.shape == (40, 2)
    torch.testing.assert_close(everybody.T @ everybody / 49, torch.eye(2).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(everybody.mean(dim=0), torch.zeros(2).double(), atol=1e-5, rtol=0)


def test_a_bank_bounds_users_and_items_and_is_drawn_anew(data: Dataset, side: SideInformation) -> None:
    aligner, source = build(data, side, bank=2), draws()
    seen: list[tuple[Tensor, Tensor]] = [aligner._drawn(torch.arange(17), source) for _ in range(80)]
    assert {(len(users), len(items)) for users, items in seen} == {(2, 2)}
    assert {int(user) for users, _ in seen for user in users} <= set(range(17)) - {3, 4}
    assert {int(item) for _, items in seen for item in items} == set(range(13)) - {5}
    whole = build(data, side, bank=100).terms(embeddings(data), BATCH, draws())["promax"]
    assert whole.item() == pytest.approx(build(data, side).terms(embeddings(data), BATCH, draws())["promax"].item())


def test_a_weight_of_nothing_is_no_aligner_and_a_model_trains_with_it(data: Dataset, side: SideInformation) -> None:
    assert build(data, side, weight=0).terms(embeddings(data), BATCH, draws()) == {}
    options = LightGcnOptions.model_validate({"dim": 4, "aligner": {"kind": "promax"}})
    model = build_model(data, side, options, seeded(0, "parameters"))
    terms = model.train().loss(BATCH)
    assert set(terms) == {"bpr", "l2", "promax"}
    torch.stack(list(terms.values())).sum().backward()
    assert FAMILIES["lightgcn"].uses_features(options)
