"""The benchmark compares like with like: the published structure and ours give the same loss and gradients."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bert4rec_epoch import batches, differences, main
from benchmarks.bert4rec_published import published_batches
from benchmarks.sequential import data, sequences_of
from recsys.data.dataset import Dataset


@pytest.fixture(scope="module")
def small() -> Dataset:
    """Of 60 users some have fewer items than a window holds, and some more."""
    return data(60, 300)


def test_both_structures_give_the_same_loss_and_gradients(small: Dataset) -> None:
    assert max(differences(small).values()) < 1e-5


def test_both_structures_show_the_same_items_and_hide_as_many(small: Dataset) -> None:
    sequences = sequences_of(small)
    shown, targets = next(published_batches(sequences, 300, 50, 64, 0.5, np.random.default_rng(0)))
    there = {tuple(items[-50:]) for items in sequences}
    whole = np.where(targets > 0, targets, shown)
    assert {tuple(int(item) for item in row if item) for row in whole} == there
    assert (shown[targets > 0] == 301).all()
    ours = sum(len(batch) for batch in batches(small).epoch())
    items = sum(map(len, there))
    assert ours / items == pytest.approx(0.5, abs=0.05)
    assert (targets > 0).sum() / items == pytest.approx(0.5, abs=0.05)


def test_a_run_reports_every_figure(tmp_path: Path) -> None:
    main(["--users", "30", "--rounds", "1", "--json", str(tmp_path / "out.json")])
    names = [row["name"] for row in json.loads((tmp_path / "out.json").read_text())]
    assert "an epoch, published structure / ours" in names
    assert "loss of equal weights, published structure" in names
