"""SASRec held to loops in float64, and to what a causal model of padded windows must be."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from recsys.batches.base import Queries
from recsys.batches.next_items import NextItems
from recsys.batches.sequences import Windows
from recsys.models.parts.sequence_recommender import SequenceRecommender
from tests.recsys.models.sequence_reference import (
    N_ITEMS,
    TARGETS,
    WINDOWS,
    assert_alike,
    build,
    cycles,
    normal,
    shaken,
    states,
)

FORMS = [{}, {"heads": 3}, {"normalised": "queries"}, {"normalised": "queries", "heads": 2, "blocks": 1}]
NEGATIVES = (TARGETS + 5) % N_ITEMS


def reference(model: SequenceRecommender, row: int) -> list[Tensor]:
    """The states of one window."""
    window = WINDOWS.items[row, : int(WINDOWS.length[row])].tolist()
    last = model.get_submodule("last_norm")
    return [normal(x, last) for x in states(model, window, math.sqrt(model.dim))]


@pytest.mark.parametrize("form", FORMS)
def test_states_are_those_of_loops(form: dict) -> None:
    model = shaken(build("sasrec", **form)).eval()
    got = model.states(WINDOWS)
    for row, length in enumerate(WINDOWS.length.tolist()):
        torch.testing.assert_close(got[row, :length], torch.stack(reference(model, row)), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("loss", ["binary", "cross_entropy"])
@pytest.mark.parametrize("form", FORMS)
def test_the_loss_and_its_gradients_are_those_of_loops(form: dict, loss: str) -> None:
    model = shaken(build("sasrec", loss=loss, **form)).train()
    losses = []
    for row, length in enumerate(WINDOWS.length.tolist()):
        for place, state in enumerate(reference(model, row)[:length]):
            scores = model.item_embedding @ state
            target, negative = int(TARGETS[row, place]), int(NEGATIVES[row, place])
            if loss == "binary":
                losses.append(-scores[target].sigmoid().log() - (1 - scores[negative].sigmoid()).log())
            else:
                losses.append(-(scores[target].exp() / scores.exp().sum()).log())
    negatives = NEGATIVES if loss == "binary" else None
    terms = model.loss(NextItems(WINDOWS, TARGETS, negatives))
    assert_alike(model, terms, {loss: torch.stack(losses).mean()})


@pytest.mark.parametrize("form", FORMS)
def test_a_later_item_changes_nothing_before_it(form: dict) -> None:
    model = shaken(build("sasrec", **form)).eval()
    before = model.states(WINDOWS)[0]
    for place in range(5):
        items = WINDOWS.items.clone()
        items[0, place] = 10
        after = model.states(Windows(items, WINDOWS.length))[0]
        assert torch.equal(before[:place], after[:place])
        assert not torch.allclose(before[place:], after[place:])


@pytest.mark.parametrize("name", ["sasrec", "bert4rec", "cl4srec"])
def test_what_stands_behind_a_window_changes_nothing(name: str) -> None:
    model = shaken(build(name)).eval()
    filled = Windows(WINDOWS.items.where(WINDOWS.real, 7), WINDOWS.length)
    wider = Windows(torch.cat([filled.items, torch.full((4, 1), 2)], 1), WINDOWS.length)
    whole = model.states(WINDOWS)
    for other in (filled, wider):
        got = model.states(other)[:, :5]
        torch.testing.assert_close(got[WINDOWS.real], whole[WINDOWS.real], rtol=1e-12, atol=1e-12)
    for row, length in enumerate(WINDOWS.length.tolist()):
        alone = model.states(Windows(WINDOWS.items[row : row + 1, :length], WINDOWS.length[row : row + 1]))
        torch.testing.assert_close(alone[0], whole[row, :length], rtol=1e-12, atol=1e-12)


def test_a_user_without_items_prefers_none() -> None:
    model = build("sasrec").eval()
    assert model.scores(Queries(torch.tensor([0, 1])))[0].tolist() == [0.0] * N_ITEMS
    assert model.scores(Queries(torch.tensor([0, 1]), "test"))[0].abs().sum() > 0  # the one of validation is known


def test_only_the_latest_items_are_read() -> None:
    data = cycles(steps=9)
    model = build("sasrec", data, length=3).eval()
    contexts = {"valid": data.train, "test": [*data.train.tolist(), *data.valid.tolist()]}
    for split in ("valid", "test"):
        for user in (3, 20):
            known = 7 if split == "valid" else 8
            assert len([1 for owner, _ in contexts[split] if owner == user]) == known
            latest = [(user + step) % N_ITEMS for step in range(known)][-3:]
            state = model.states(Windows(torch.tensor([latest]), torch.tensor([3])))[0, -1]
            got = model.scores(Queries(torch.tensor([user]), split))[0]  # type: ignore[arg-type]
            torch.testing.assert_close(got, model.item_embedding @ state, rtol=1e-5, atol=1e-6)


def test_released_is_the_authors_form() -> None:
    model = build("sasrec", released=True)
    assert model.options.normalised == "queries"  # type: ignore[attr-defined]
    assert build("sasrec", released=True, normalised="inputs").options.normalised == "inputs"  # type: ignore[attr-defined]
