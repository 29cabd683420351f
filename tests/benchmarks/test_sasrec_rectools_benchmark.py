"""SASRec beside RecTools: both see the same items, and what is said of quality is what scores say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from benchmarks import sasrec_rectools
from benchmarks.epoch import MISSING
from benchmarks.sasrec_rectools import Turn, learned, looked_for, measure, ours, their_scores, told, with_validation
from benchmarks.sequential import data
from recsys.data.dataset import Dataset
from recsys.evaluation.next_item import next_items


@pytest.fixture(scope="module")
def small() -> Dataset:
    """30 users x 200 items with an item each for validation; some sequences are longer than a window."""
    return with_validation(data(30, 200))


@pytest.fixture(scope="module")
def held_out(small: Dataset) -> Dataset:
    """The same with that item for the test, and the one before it for validation."""
    inner = with_validation(small)
    splits = (inner, "train"), (inner, "valid"), (small, "valid")
    pairs = [dataset.pairs(split) for dataset, split in splits]
    times = [dataset.timestamps(split) for dataset, split in splits]
    return Dataset.from_arrays(small.n_users, small.n_items, *pairs, timestamps=times)


def test_the_newest_item_of_everybody_is_held_out(small: Dataset) -> None:
    whole = data(30, 200)
    assert len(small.train) + 30 == len(whole.train)
    newest = {int(user): int(item) for user, item in whole.train[whole.by_time("train")]}
    assert newest == dict(small.valid.tolist())


def test_a_sure_model_has_the_item_first_and_no_loss(held_out: Dataset) -> None:
    known = told(held_out)
    user, item = torch.from_numpy(next_items(held_out, "test")).T
    scores = torch.full((30, 200), -50.0).index_put((user, item), torch.tensor(50.0)).masked_fill(~known, -torch.inf)
    for loss in sasrec_rectools.LOSSES:
        hit_rate, value = learned(held_out, scores, loss)
        assert hit_rate == 1.0
        assert value == pytest.approx(0.0, abs=1e-12)


def test_a_model_that_knows_nothing_has_the_loss_of_chance(held_out: Dataset) -> None:
    known = told(held_out)
    scores = torch.zeros(30, 200).masked_fill(~known, -torch.inf)
    assert learned(held_out, scores, "binary").loss == pytest.approx(2 * math.log(2))
    assert learned(held_out, scores, "cross_entropy").loss == pytest.approx(math.log(int(known.sum())))


def test_ratios_are_of_the_best_turns_and_the_worst_is_shown(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = iter([Turn(2.0, 100), Turn(3.0, 150), Turn(1.0, 90), Turn(4.0, 180), Turn(2.0, 120), Turn(1.8, 160)])
    monkeypatch.setattr(sasrec_rectools, "in_a_fresh_process", lambda *_: next(turns))
    rows = {row.name: row for row in sasrec_rectools.timed(small, "binary", 3)}
    assert rows["binary: an epoch, RecTools / ours"].value == pytest.approx(1.8)
    assert rows["binary: the same, least of 3 turns"].ok is False
    assert rows["binary: memory, ours / RecTools"].value == pytest.approx(0.6)


def test_our_training_runs_to_its_end(small: Dataset, tmp_path: Path) -> None:
    watch = ours(small, "cross_entropy", 3, 0, tmp_path)
    assert len(watch.times) == len(watch.held) == 3
    assert min(watch.held) > 0


def test_without_rectools_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sasrec_rectools, "find_spec", lambda _: None)
    (row,) = measure(["binary"], ["time"], 1, 8, 1, [1])
    assert (row.value, row.target, row.ok) == (None, MISSING, None)


def test_rectools_looks_for_the_same_items_and_scores_those_it_was_told(held_out: Dataset) -> None:
    pytest.importorskip("rectools")
    pytest.importorskip("pytorch_lightning")
    mine, theirs = looked_for(held_out)
    assert mine == theirs
    scores = their_scores(held_out, "binary", 1, 0)
    assert torch.equal((scores > -torch.inf).all(0), told(held_out))
    assert torch.equal((scores > -torch.inf).any(0), told(held_out))
