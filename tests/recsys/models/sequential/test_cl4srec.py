"""CL4SRec: SASRec's loss, and a contrast of views held to loops in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from recsys.batches.next_items import NextItems
from recsys.batches.sequence_views import ViewedNextItems
from recsys.batches.sequences import HIDDEN, Windows
from tests.recsys.models.sequence_reference import (
    N_ITEMS,
    TARGETS,
    WINDOWS,
    assert_alike,
    build,
    normal,
    shaken,
    states,
)

NEGATIVES = (TARGETS + 5) % N_ITEMS
VIEWS = (
    Windows(torch.tensor([[4, 11, 0, 0], [HIDDEN, 2, 0, 0], [7, 0, 0, 0], [6, 10, 8, 3]]), torch.tensor([2, 2, 1, 4])),
    Windows(
        torch.tensor([[3, HIDDEN, HIDDEN, 11, 5], [9, 0, 0, 0, 0], [7, 0, 0, 0, 0], [HIDDEN, 8, HIDDEN, 3, 0]]),
        torch.tensor([5, 1, 1, 4]),
    ),
)


@pytest.mark.parametrize(
    "form", [{}, {"cosine": True, "contrast_temperature": 0.4}, {"loss": "cross_entropy", "contrast": 1.5}]
)
def test_the_contrast_is_that_of_loops(form: dict) -> None:
    model = shaken(build("cl4srec", **form)).train()
    options = model.options  # type: ignore[attr-defined]
    last = model.get_submodule("last_norm")
    rows: list[Tensor] = []
    for view in VIEWS:
        for row, length in enumerate(view.length.tolist()):
            state = states(model, view.items[row, :length].tolist(), math.sqrt(model.dim))[-1]
            state = normal(state, last)
            rows.append(state / state.norm() if options.cosine else state)
    losses = []
    for i, row in enumerate(rows):
        logits = torch.stack([row @ other / options.contrast_temperature for j, other in enumerate(rows) if j != i])
        own = (i + 4) % 8
        losses.append(logits.logsumexp(0) - logits[own - (own > i)])
    negatives = None if options.loss == "cross_entropy" else NEGATIVES
    plain = model.loss(NextItems(WINDOWS, TARGETS, negatives))
    assert set(plain) == {options.loss}
    expected = plain | {"contrast": options.contrast * torch.stack(losses).mean()}
    assert_alike(model, model.loss(ViewedNextItems(WINDOWS, TARGETS, negatives, VIEWS)), expected)


def test_it_starts_and_scores_as_sasrec_does() -> None:
    ours, theirs = build("cl4srec"), build("sasrec")
    state = theirs.state_dict()
    assert all(torch.equal(value, ours.state_dict()[name]) for name, value in state.items())
    assert {*ours.state_dict()} - {*state} == {"hidden_item"}
    assert torch.equal(ours.eval().states(WINDOWS), theirs.eval().states(WINDOWS))
