"""MF-BPR beside Cornac's BPR: both sides run, the search leaves test alone, the rule is the stated one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from augrec.artefacts.files import read_json
from benchmarks import mf_bpr
from benchmarks.epoch import Trained
from benchmarks.mf_bpr import CORNAC, MARGIN, OURS, THEIRS, Side
from recsys.data.dataset import Dataset

SIDES = {**OURS, CORNAC: THEIRS}


@pytest.mark.parametrize("name", list(SIDES))
def test_every_side_learns_and_a_search_does_without_test(two_tastes: Dataset, tmp_path: Path, name: str) -> None:
    if name == CORNAC:
        pytest.importorskip("cornac")
    side: Side = SIDES[name]
    trained = side.trained(two_tastes, side.chosen, 10, 0, tmp_path / "whole")
    assert (trained.recall, trained.valid) == (1.0, 1.0)  # twelve items, twenty places
    assert trained.epoch > 0
    searching = side.trained(two_tastes.sealed(), side.chosen, 10, 0, tmp_path / "search", searching=True)
    assert (searching.valid, searching.best_epoch) == (trained.valid, trained.best_epoch)
    assert math.isnan(searching.recall)


def test_the_interval_is_welchs() -> None:
    first, second = [0.17, 0.18, 0.175, 0.19], [0.171, 0.1712, 0.1711]
    low, middle, high = mf_bpr.welch(first, second)
    parts = np.var(first, ddof=1) / 4, np.var(second, ddof=1) / 3
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 2)
    half = t.ppf(0.975, freedom) * math.sqrt(sum(parts))
    assert middle == pytest.approx(np.mean(first) - np.mean(second))
    assert (low, high) == pytest.approx((middle - half, middle + half))
    assert math.isnan(mf_bpr.welch([0.1], second)[0])


def test_recall_is_judged_by_the_lower_end_and_time_by_its_sum_over_seeds() -> None:
    theirs = [Trained(1.0, 10, 0.1700), Trained(1.0, 90, 0.1702)]
    below, within = (
        [Trained(1.0, 50, recall - shift) for recall in (0.1700, 0.1702)] for shift in (2 * MARGIN, MARGIN / 4)
    )
    rows = {row.name: row for row in mf_bpr.results_of({"single-steps": below, "adam": within, CORNAC: theirs})}
    assert rows[f"single-steps - {CORNAC}: recall@20, lower end of 95 %"].ok is False
    assert rows[f"adam - {CORNAC}: recall@20, lower end of 95 %"].ok
    assert rows[f"adam / {CORNAC}: to the best epoch"].value == pytest.approx(1.0)  # of ratios the mean is 2.8
    one = {row.name: row for row in mf_bpr.results_of({"adam": within[:1], CORNAC: theirs[:1]})}
    assert one[f"adam - {CORNAC}: recall@20, lower end of 95 %"].ok is False, "one seed shows nothing"


def test_without_cornac_ours_is_still_measured_and_the_best_setting_is_named(
    two_tastes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mf_bpr, "find_spec", lambda name: None)
    monkeypatch.setattr(mf_bpr, "movielens", lambda folder: two_tastes)
    out = tmp_path / "out.json"
    assert mf_bpr.main(["--seeds", "2", "--epochs", "5", "--json", str(out)]) == 0
    assert (read_json(out)[0]["value"], read_json(out)[-1]["name"]) == (1.0, CORNAC)
    recalls = {at: 0.1 + 0.01 * (at.lr == 0.1 and at.l2 == 0.005) for at in mf_bpr.STEPS}
    asked: list[bool] = []

    def trained(dataset: Dataset, at: mf_bpr.Setting, *rest: object, searching: bool) -> Trained:
        asked.append(searching)
        return Trained(math.nan, 5, math.nan, valid=recalls[at])

    monkeypatch.setitem(OURS, "single-steps", OURS["single-steps"]._replace(trained=trained))
    assert mf_bpr.main(["--search", "--seeds", "2", "--json", str(out)]) == 0
    assert read_json(out)[-1]["target"] == "lr 0.1, l2 0.005"
    assert asked == [True] * 18
