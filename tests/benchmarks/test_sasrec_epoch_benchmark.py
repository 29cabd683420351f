"""The benchmark compares like with like: the published structure and ours give the same loss and gradients."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sasrec_epoch import batches, differences, main
from benchmarks.sasrec_published import published_batches
from benchmarks.sequential import data, sequences_of
from recsys.data.dataset import Dataset


@pytest.fixture(scope="module")
def small() -> Dataset:
    """Of 60 users some have fewer steps than a window holds, and some more."""
    return data(60, 300)


def test_both_structures_give_the_same_loss_and_gradients(small: Dataset) -> None:
    found = differences(small)
    assert set(found) == {"loss", "gradient of items", "gradient of positions"}
    assert max(found.values()) < 1e-5


def test_both_structures_show_the_same_steps(small: Dataset) -> None:
    sequences = sequences_of(small)
    assert min(map(len, sequences)) < 51 < max(map(len, sequences))
    ours = sum(len(batch) for batch in batches(small).epoch())
    assert ours == sum(min(len(items) - 1, 50) for items in sequences)
    shown, targets, negatives = next(published_batches(sequences, 300, 50, 64, np.random.default_rng(0)))
    by_end = {tuple(items[-3:]): items for items in sequences}
    for row, target, negative in zip(shown, targets, negatives, strict=True):
        items = by_end[(*row[-2:].tolist(), int(target[-1]))]
        steps = min(len(items) - 1, 50)
        assert row[-steps:].tolist() == items[-steps - 1 : -1]
        assert target[-steps:].tolist() == items[-steps:]
        assert not {*negative[-steps:].tolist()} & {*items}
        assert not row[:-steps].any()
        assert not target[:-steps].any()


def test_a_run_reports_every_figure(tmp_path: Path) -> None:
    main(["--users", "30", "--rounds", "1", "--json", str(tmp_path / "out.json")])
    names = [row["name"] for row in json.loads((tmp_path / "out.json").read_text())]
    assert "an epoch, published structure / ours" in names
    assert any("Cornac" in name for name in names)
