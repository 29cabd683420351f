"""Array expressions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.errors import UsageError
from augrec.pipeline.stages.ranges import format_ranges, parse_ranges


@pytest.mark.parametrize(("numbers", "text"), [([], ""), ([4], "4"), ([3, 4, 5, 9], "3-5,9"), ([9, 0, 1, 1], "0-1,9")])
def test_the_shortest_expression(numbers: list[int], text: str) -> None:
    assert format_ranges(numbers) == text


@given(st.sets(st.integers(0, 200), min_size=1))
def test_there_and_back(numbers: set[int]) -> None:
    assert parse_ranges(format_ranges(numbers)) == sorted(numbers)


@pytest.mark.parametrize("text", ["", "a", "1-", "5-3", "1,,2", "-1", "1:3"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a list of numbers"):
        parse_ranges(text)
