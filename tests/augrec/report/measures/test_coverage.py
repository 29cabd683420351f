"""What a model completes of a catalogue, by hand, and what the same answers give elsewhere."""

from __future__ import annotations

import pytest

from augrec.report.measures.coverage import coverage, plain_title
from tests.augrec.report.measures.written import records, row

TITLES = ["Godfather, The", "Alien", "Heat (1995)", None]
CATALOGUE = {
    "title": TITLES,
    "year": [1972, 1979, 1995, 1990],
    "genres": [["Crime", "Drama"], ["Horror"], ["Crime"], []],
}


def test_shares_are_of_what_the_catalogue_knows() -> None:
    said = [
        {"title": "The Godfather", "year": "1972", "genres": ["Crime"]},
        {"title": "ALIEN!", "year": "1986", "genres": ["Horror"]},
        {"title": "Heat", "year": "1995", "genres": ["War"]},
        {"title": "Anything", "year": "1990", "genres": ["War"]},
    ]
    found = coverage(records([row(item, one) for item, one in enumerate(said)], task="catalogue_entry"), CATALOGUE)
    assert found is not None
    assert (found.items, found.titles) == (4, 1.0)
    assert found.years == pytest.approx(3 / 4)
    assert found.genres == pytest.approx((0.5 + 1 + 0) / 3)


def test_one_answer_for_everything_is_as_good_elsewhere() -> None:
    rows = [row(item, {"title": "Alien", "year": "1979", "genres": ["Crime"]}) for item in range(4)]
    found = coverage(records(rows, task="catalogue_entry"), CATALOGUE)
    assert found is not None
    assert found.titles == found.chance_titles == pytest.approx(1 / 3)
    assert found.years == found.chance_years
    assert found.genres == found.chance_genres


def test_data_without_years_or_answers_say_nothing_of_them() -> None:
    answers = records([row(0, {"title": "x"})], task="catalogue_entry")
    found = coverage(answers, {"title": TITLES})
    assert found is not None
    assert (found.titles, found.years, found.genres) == (0.0, None, None)
    assert coverage(records([row(0, None)], task="catalogue_entry"), CATALOGUE) is None


@pytest.mark.parametrize("title", ["Matrix, The (1999)", "the matrix", "The  Matrix."])
def test_titles_are_the_same_whatever_their_notation(title: str) -> None:
    assert plain_title(title) == "the matrix"
