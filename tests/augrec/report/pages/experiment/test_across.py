"""A table over several data sets: what is put together, and what is not."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from augrec.report.numbers.comparison import Comparison
from augrec.report.numbers.synthesis import random_effects
from augrec.report.pages.across import across_table
from augrec.report.pages.experiment.across import across
from augrec.report.pages.experiment.values import RowValues, TableValues, Value
from augrec.report.render.text_tables import csv, latex, markdown


def block(dataset: str, *rows: tuple[str, float | None, float], against: str = "base") -> TableValues:
    """A table on one data set: (row, its difference to a baseline of .2, its standard error)."""
    made = tuple(
        RowValues(
            label, "general", dataset, "base", label, "m", "lightgcn", (1, 2),
            {"recall@20": Value(0.2, versus=versus(difference, error))}, against=against,
        )
        for label, difference, error in rows
    )  # fmt: skip
    return TableValues("main", f"Main: {dataset}", dataset, ("recall@20",), made, 0.05, False, None, "Tests.")


def versus(difference: float | None, error: float) -> Comparison:
    if difference is None:
        return Comparison()
    return Comparison(
        difference=difference, relative=difference / 0.2, reference=0.2, error=error,
        ci_low=difference - 2 * error, ci_high=difference + 2 * error,
    )  # fmt: skip


BLOCKS = [
    block("a", ("llm", 0.01, 0.002), ("alone", 0.02, 0.002), ("lost", None, 0)),
    block("b", ("llm", 0.02, 0.004), ("lost", 0.01, 0.002)),
]


def test_what_two_data_sets_compare_alike_is_put_together_in_relative_terms() -> None:
    (found,) = across(BLOCKS)
    assert (found.table, found.label, found.against, found.metric) == ("main", "llm", "base", "recall@20")
    assert {name: effect.relative for name, effect in found.effects.items()} == pytest.approx({"a": 0.05, "b": 0.1})
    expected = random_effects([0.05, 0.1], [0.01, 0.02], 0.05)
    assert found.together is not None
    assert expected is not None
    assert asdict(found.together) == pytest.approx(asdict(expected))


def test_rows_that_are_compared_with_another_baseline_are_not() -> None:
    assert across([BLOCKS[0], block("b", ("llm", 0.02, 0.004), against="other")]) == []
    assert across([BLOCKS[0], replace(BLOCKS[1], table="second")]) == []
    assert across(BLOCKS[:1]) == []


def test_a_data_set_without_an_error_keeps_its_effect_and_leaves_no_mean() -> None:
    (found,) = across([BLOCKS[0], block("b", ("llm", 0.02, 0.0))])
    assert found.together is None
    assert found.effects["b"].relative == pytest.approx(0.1)


def test_the_table_shows_every_effect_with_its_interval_and_the_mean() -> None:
    shown = across_table("main", "Main", across(BLOCKS), {"a": "First", "b": "Second", "c": "Third"}, 0.05)
    assert shown is not None
    text = markdown(shown).replace("\u00a0", " ")
    assert "| variant | against | metric | First (95 % interval) | Second (95 % interval) | mean" in text
    assert "| llm | base | recall@20 | +5.0 % (+3.0 % to +7.0 %) | +10.0 % (+6.0 % to +14.0 %) |" in text
    assert "Data sets are not ranked." in text
    values = csv(shown).splitlines()[1].split(",")
    assert [float(value) for value in values[3:5]] == pytest.approx([0.05, 0.1])
    assert latex(shown).count(r"\begin{tabular}") == 1
    assert across_table("main", "Main", [], {"a": "First"}, 0.05) is None
