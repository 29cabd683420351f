"""BERT4Rec held to loops in float64, and read at the place where the item is hidden."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from recsys.batches.base import Queries
from recsys.batches.cloze import Cloze, ClozeBatches
from recsys.batches.sequences import HIDDEN, InsertedSequences, Sequences, TrainingWindows, Windows
from recsys.models.parts.sequence_recommender import SequenceRecommender
from recsys.seeds import seeded
from tests.recsys.models.sequence_reference import N_ITEMS, WINDOWS, assert_alike, build, cycles, shaken, states

FORMS = [{}, {"heads": 3}, {"blocks": 1, "heads": 2}]
HIDDEN_AT = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 1, 0, 0]], dtype=torch.bool)
SHOWN = Windows(WINDOWS.items.masked_fill(HIDDEN_AT, HIDDEN), WINDOWS.length)


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def reference(model: SequenceRecommender, window: list[int]) -> list[Tensor]:
    """The states of one window, ready to be compared with items."""
    head = model.get_submodule("head")
    return [gelu(head.weight @ x + head.bias) for x in states(model, window, 1.0)]  # type: ignore[operator]


def shown(row: int) -> list[int]:
    return SHOWN.items[row, : int(SHOWN.length[row])].tolist()


@pytest.mark.parametrize("form", FORMS)
def test_states_are_those_of_loops(form: dict) -> None:
    model = shaken(build("bert4rec", **form)).eval()
    got = model.states(SHOWN)
    for row, length in enumerate(SHOWN.length.tolist()):
        expected = torch.stack(reference(model, shown(row)))
        torch.testing.assert_close(got[row, :length], expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("form", FORMS)
def test_the_loss_and_its_gradients_are_those_of_loops(form: dict) -> None:
    model = shaken(build("bert4rec", **form)).train()
    assert model.item_bias is not None
    losses = []
    for row in range(len(SHOWN)):
        for place, state in enumerate(reference(model, shown(row))):
            if HIDDEN_AT[row, place]:
                scores = model.item_embedding @ state + model.item_bias
                losses.append(-(scores[WINDOWS.items[row, place]].exp() / scores.exp().sum()).log())
    batch = Cloze(SHOWN, HIDDEN_AT, WINDOWS.items)
    assert len(batch) == len(losses) == 6
    assert_alike(model, model.loss(batch), {"cloze": torch.stack(losses).mean()})


def test_an_item_is_seen_from_both_sides_but_not_where_it_is_hidden() -> None:
    model = shaken(build("bert4rec")).eval()
    before = model.states(SHOWN)[0]
    for place in (0, 2, 4):
        items = SHOWN.items.clone()
        items[0, place] = 10
        assert (model.states(Windows(items, SHOWN.length))[0] - before).abs().amax(1).min() > 1e-6
    hidden = shaken(build("bert4rec")).train()
    losses = []
    for item in (1, 7):  # what is hidden is no part of what is read
        targets = WINDOWS.items.clone()
        targets[0, 0] = item
        losses.append(hidden.states(Cloze(SHOWN, HIDDEN_AT, targets).shown))
    assert torch.equal(*losses)


def test_the_state_is_read_at_the_hidden_item_behind_the_newest() -> None:
    data = cycles(steps=9)
    model = build("bert4rec", data, length=4).eval()
    with torch.no_grad():
        assert model.item_bias is not None
        model.item_bias += torch.arange(N_ITEMS)
        for user, known in ((3, 7), (0, 0)):
            window = [*[(user + step) % N_ITEMS for step in range(known)][-3:], HIDDEN]
            state = reference(model, window)[-1]
            got = model.scores(Queries(torch.tensor([user])))[0]
            torch.testing.assert_close(got, model.item_embedding @ state + model.item_bias, rtol=1e-5, atol=1e-5)


def cloze(rate: float, newest: float) -> list[Cloze]:
    data = cycles(n_users=400, steps=9)
    sequences = InsertedSequences(Sequences.of(data), None, 0.0, seeded(0, "insertions"))
    windows = TrainingWindows(sequences, span=5, overlap=0, every=True, batch_size=64, generator=seeded(0, "windows"))
    return list(ClozeBatches(windows, rate=rate, newest=newest, generator=seeded(0, "sampler")).epoch())


def test_items_are_hidden_at_the_rate_and_one_at_least() -> None:
    batches = cloze(0.5, 0.0)
    for batch in batches:
        assert torch.equal(batch.shown.items == HIDDEN, batch.hidden)
        assert torch.equal(batch.shown.items.where(~batch.hidden, batch.targets), batch.targets)
        assert not batch.hidden[~batch.shown.real].any()
        assert (batch.hidden.sum(1) >= 1).all()
    real = sum(int(batch.shown.length.sum()) for batch in batches)
    hidden = sum(len(batch) for batch in batches)
    lengths = torch.cat([batch.shown.length for batch in batches]).numpy()
    expected = (lengths * 0.5 + 0.5**lengths).sum()  # a window in which none was drawn hides one
    assert abs(hidden - expected) < 4 * np.sqrt(real * 0.25)


def test_only_the_newest_is_hidden_in_a_share_of_the_windows() -> None:
    for batch in cloze(0.5, 1.0):
        steps = torch.arange(batch.hidden.shape[1])
        assert torch.equal(batch.hidden, steps == batch.shown.length[:, None] - 1)
    rows = torch.cat([batch.hidden.sum(1) == 1 for batch in cloze(0.9, 0.25)])
    assert 0.2 < rows.double().mean() < 0.35


@pytest.mark.parametrize("size", [2, 3, 65])
def test_the_shares_of_processes_are_the_batch(size: int) -> None:
    batch = cloze(0.5, 0.1)[0]
    shares = [batch.share(rank, size) for rank in range(size)]
    if size > len(batch.shown):
        assert all(share is batch for share in shares)
        return
    assert sum(len(share) for share in shares) == len(batch)
    rows = sorted(tuple(row) for share in shares for row in share.shown.items.tolist())
    assert rows == sorted(map(tuple, batch.shown.items.tolist()))
