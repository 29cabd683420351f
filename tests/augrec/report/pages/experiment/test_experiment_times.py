"""What rows cost, as multiples of the rows they are compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from augrec.report.numbers.variants import Trained
from augrec.report.pages.experiment.tables import block_markdown
from augrec.report.pages.experiment.times import Ratio, Times, times_of, times_table
from augrec.report.pages.experiment.values import TableValues


def trained(name: str, **seeds: tuple[float | None, float, int]) -> Trained:
    """A variant of which a seed took so long an epoch, so long as a whole, and so many epochs."""
    metrics: dict[int, dict[str, Any]] = {
        int(seed.removeprefix("seed")): {"seconds_per_epoch": epoch, "seconds": whole, "epochs": epochs}
        for seed, (epoch, whole, epochs) in seeds.items()
    }
    return Trained(name, metrics, np.zeros(0, np.int64), {})


BASE = trained("base", seed1=(2.0, 100.0, 50), seed2=(4.0, 400.0, 100), seed3=(3.0, 300.0, 60))
CON = trained("con", seed1=(5.0, 100.0, 20), seed2=(10.0, 800.0, 80), seed3=(6.0, 240.0, 40))


def test_a_ratio_is_that_of_the_medians_with_the_range_over_seeds() -> None:
    found = times_of("con", CON, "base", BASE)
    assert found == Times("con", "base", 40, Ratio(2.0, 2.0, 2.5), Ratio(240 / 300, 0.8, 2.0))


def test_a_machine_that_is_twice_as_slow_changes_nothing() -> None:
    def slower(variant: Trained) -> Trained:
        doubled = {
            seed: {**metrics, "seconds_per_epoch": 2 * metrics["seconds_per_epoch"], "seconds": 2 * metrics["seconds"]}
            for seed, metrics in variant.metrics.items()
        }
        return replace(variant, metrics=doubled)

    assert times_of("con", slower(CON), "base", slower(BASE)) == times_of("con", CON, "base", BASE)


def test_only_seeds_of_both_count() -> None:
    found = times_of("con", CON, "base", trained("base", seed1=(2.0, 100.0, 50), seed9=(1.0, 1.0, 1)))
    assert found.epoch == Ratio(2.5, 2.5, 2.5)
    assert found.epochs == 40  # of its own seeds
    assert times_of("con", CON, "base", trained("base", seed9=(1.0, 1.0, 1))).epoch is None


def test_a_closed_form_has_no_epochs() -> None:
    found = times_of("ease", trained("ease", seed1=(None, 30.0, 0)), "base", BASE)
    assert (found.epochs, found.epoch) == (None, None)
    assert found.training == Ratio(0.3, 0.3, 0.3)


def test_a_baseline_stands_alone() -> None:
    found = times_of("base", BASE, None, None)
    assert found == Times("base", None, 60, None, None)


def test_the_table_holds_ratios_and_no_seconds() -> None:
    times = [times_of("base", BASE, None, None), times_of("con|x", CON, "base", BASE)]
    table = times_table("main-d", "Main", times)
    assert table is not None
    assert [[cell.text for cell in row.cells] for row in table.rows] == [
        ["base", "–", "60", "–", "–"],
        ["con|x", "base", "40", "2.00 (2.00 to 2.50)", "0.80 (0.80 to 2.00)"],
    ]
    assert times_table("main-d", "Main", []) is None
    block = TableValues("main", "Main", "d", (), (), 0.05, False, None, "Tests.", times=tuple(times))
    text = block_markdown(block)
    assert "### Main: time" in text
    assert r"| con\|x | base | 40 | 2.00 (2.00 to 2.50) | 0.80 (0.80 to 2.00) |" in text
    assert "time" not in block_markdown(replace(block, times=()))


@pytest.mark.parametrize("seconds", [0.0, None])
def test_what_took_no_time_is_no_divisor(seconds: float | None) -> None:
    base = trained("base", seed1=(seconds, 1.0, 1))
    assert times_of("con", CON, "base", base).epoch is None
