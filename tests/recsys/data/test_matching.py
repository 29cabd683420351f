"""Ids that do not meet: an error when most do not, a count when some do not, never a silent join."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from augrec.artefacts.errors import DataError
from recsys.data.matching import coverage, matched

TABLES = {"interactions": Path("clicks.csv"), "items": Path("items.csv")}


def match(ours: list[str], theirs: list[str], least: float = 0.5) -> list[str]:
    return matched(np.array(ours, dtype=object), pd.Series(theirs, dtype=str), "item", TABLES, least)


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (["30.0", "31.0"], ["1", "30", "31"], r"no id is in common.*'30\.0'.*'30'; they are alike but for a trailing"),
        (["00030"], ["1", "30"], r"'00030'.*'30'; they are alike but for leading zeros"),
        (["ab"], ["AB", "x"], r"'ab'.*'AB'; they are alike but for the case"),
        (["e\u0301"], ["\u00e9"], r"alike but for how Unicode writes accents"),
        (['"a"'], ["a"], r"alike but for quotation marks"),
        (["x", "y", "z"], ["x", "b"], r"only 1 of 3 ids are in common.*'y'.*'b'"),
    ],
)
def test_strangers_are_an_error_that_names_both_files(ours: list[str], theirs: list[str], message: str) -> None:
    with pytest.raises(DataError, match=f"(?s){message}.*clicks\\.csv and items\\.csv.*items_id"):
        match(ours, theirs)


def test_a_few_without_a_row_are_counted_with_examples() -> None:
    assert match(["a", "b", "c", "d"], ["a", "b", "c", "z"]) == ["1 of 4 items have no row in items.csv, e.g. 'd'"]
    assert match(["a"], ["a", "b"]) == []
    assert match(["a"], []) == []


def test_a_table_of_a_few_may_be_allowed_but_not_of_none() -> None:
    assert match(["x", "y", "z"], ["x", "b"], 0.3) == ["2 of 3 items have no row in items.csv, e.g. 'y', 'z'"]
    with pytest.raises(DataError, match="no id is in common"):
        match(["x"], ["b"], 0.0)


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        (["a", "b", "c"], ["3 of 3 items were found in items.csv"]),
        (
            ["a", "b", "y", "z"],
            ["2 of 3 items were found in items.csv; 2 of its rows are of items that have no interaction left"],
        ),
        ([], []),
    ],
)
def test_who_was_found_is_told(theirs: list[str], expected: list[str]) -> None:
    ours = np.array(["a", "b", "c"], dtype=object)
    assert coverage(ours, pd.Series(theirs, dtype=str), "item", TABLES) == expected
