"""A spreadsheet opens what is exported as data: no cell is a formula, every number is a number."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.csv_cells import csv_lines, guarded, unguarded

FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|'/c calc'!A0", "\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "\uff1d1+1",
    "-30-", "+", "-", "=", "@handle", "\tx", "\rx", "-2+3+cmd|' /C calc'!D2", "+1 (555) 123", "--1", "+-1", "=A1",
]  # fmt: skip
DATA = ["Heat", "", "'quoted'", "a=b", "1-2", "x@y", "-1", "+1", "-1.5e-7", "-.5", "1,000", "-inf", "(=1)", "2001: A"]


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_a_formula_is_text(text: str) -> None:
    assert guarded(text) == f"'{text}"
    ((cell,),) = csv.reader(io.StringIO(csv_lines([[text]]), newline=""))
    assert cell[0] == "'"


@pytest.mark.parametrize("text", DATA, ids=ascii)
def test_other_text_is_left_alone(text: str) -> None:
    assert guarded(text) == text


@pytest.mark.parametrize("number", [-1, -0.25, 1e-300, float("-inf"), 0, True])
def test_a_number_stays_a_number(number: float) -> None:
    assert csv_lines([[number, None]]) == f"{number},\n"


@given(st.text())
def test_a_cell_comes_back_as_it_was(text: str) -> None:
    assert unguarded(str(guarded(text))) == text or text.startswith("'")


def test_an_apostrophe_of_ones_own_is_kept() -> None:
    assert unguarded("'Round Midnight") == "'Round Midnight"
