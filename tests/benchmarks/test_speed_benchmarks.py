"""The speed benchmarks run on small data and agree with themselves; their figures are not judged here."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from benchmarks import llmrec_step, propagation, sampling, scale
from recsys.training.memory import propagation_bytes

SMALL = (60, 50, 400)
SIZES = llmrec_step.Sizes(60, 50, 300, 12, 12, 2, 9, 7, 32, 4)


def test_propagation_variants_agree() -> None:
    names = [result.name for result in propagation.measure("58k", 1, SMALL)]  # a disagreement raises
    assert "58k edges: coalesced COO, stacked layers / ours" in names


def test_an_absent_rival_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    absent = [result for result in propagation.measure("58k", 1, SMALL) if result.value is None]
    assert any("torch_geometric cannot be imported" in result.target for result in absent)


def test_our_sampler_draws_no_positive() -> None:
    results = {result.name: result for result in sampling.measure("58k", 1, SMALL)}
    assert results["58k edges: false negatives of ours"].value == 0


def test_numpy_rejection_draws_no_positive() -> None:
    edges = propagation.random_graph(*SMALL)
    positives, negatives = sampling.numpy_rejection(edges, SMALL[1])()
    assert not set(map(tuple, np.stack([positives[:, 0], negatives], 1).tolist())) & set(map(tuple, edges.tolist()))


def test_both_forms_of_a_step_have_one_loss_and_one_trajectory() -> None:
    ours, plain = llmrec_step.Ours(SIZES), llmrec_step.Plain(SIZES)
    for _ in range(5):
        assert ours.step() == pytest.approx(plain.step(), rel=1e-5)


def test_the_least_of_a_step_counts_rows_once_and_for_gradients_those_of_kept_triplets() -> None:
    form = llmrec_step.Ours(SIZES)
    batch, passed = form.batch, form.model.propagate()
    sides = [(passed.users, passed.items), (passed.modality_users[:, 0], passed.modality_items[:, 0])]
    kept: set[int] = set()  # by the final embeddings or by the first modality, each for itself
    for users, items in sides:
        margins = (users[batch.user] * (items[batch.positive] - items[batch.negative])).sum(1)
        hardest = margins.argsort()[: int((1 - form.model.options.prune_rate) * len(margins))]
        kept |= set(batch.user[hardest].tolist())
    n_users, n_items = len(set(batch.user.tolist())), len({*batch.positive.tolist(), *batch.negative.tolist()})
    tables = llmrec_step.tables(form)
    assert tables[0] == (SIZES.text + 1, n_users, len(kept))
    assert sum(table.needed for table in tables) == (n_users + n_items) * (SIZES.attributes + 3)
    assert llmrec_step.numbers(tables) == sum(width * (needed + moved) for width, needed, moved in tables)
    assert llmrec_step.least(tables, 1) > 0


def test_scale_measures_a_step() -> None:
    small, large = (scale.measure(n, 1) for n in (50, 100))
    assert small.step > small.products > 0
    names = [result.name for result in scale.results_of([small, large])]
    assert "time per edge, 100 users / 50" in names


def test_the_formula_counts_graph_and_tables() -> None:
    parts = propagation_bytes(3, 2, 5, 4)
    assert parts["graph"] == 2 * 5 * 8 + 7 * 4
    assert parts["parameters"] == torch.empty(5, 4).nbytes
    assert sum(parts.values()) == parts["graph"] + 7 * parts["parameters"]
