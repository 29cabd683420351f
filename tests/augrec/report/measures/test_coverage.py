"""What a model completes of a catalogue, by hand, and what the same answers give elsewhere."""

from __future__ import annotations

import pytest

from augrec.artefacts.tasks import Entry
from augrec.report.measures.coverage import coverage, plain_title
from tests.augrec.report.measures.written import records, row

TITLES = ["Godfather, The", "Alien", "Heat (1995)", None]
CATALOGUE = {
    "title": TITLES,
    "year": [1972, 1979, 1995, 1990],
    "genres": [["Crime", "Drama"], ["Horror"], ["Crime"], []],
}
ENTRY = Entry(lines=1)


def test_shares_are_of_what_the_catalogue_knows() -> None:
    said = [
        {"title": "The Godfather", "year": "1972", "genres": ["Crime"]},
        {"title": "ALIEN!", "year": "1986", "genres": ["Horror"]},
        {"title": "Heat", "year": "1995", "genres": ["War"]},
        {"title": "Anything", "year": "1990", "genres": ["War"]},
    ]
    found = coverage(
        records([row(item, one) for item, one in enumerate(said)], task="catalogue_entry"), CATALOGUE, ENTRY
    )
    assert found is not None
    assert (found.items, found.titles) == (4, 1.0)
    assert found.years == pytest.approx(3 / 4)
    assert found.genres == pytest.approx((0.5 + 1 + 0) / 3)


def test_one_answer_for_everything_is_as_good_nearby() -> None:
    rows = [row(item, {"title": "Alien", "year": "1979", "genres": ["Crime"]}) for item in range(4)]
    found = coverage(records(rows, task="catalogue_entry"), CATALOGUE, ENTRY)
    assert found is not None
    assert found.titles == pytest.approx(1 / 3), "of three titles that are known"
    assert found.copied == 2 / 4, (
        "the line of Alien is shown to the item before it, which has none before, and after it"
    )
    assert found.chance_titles == 0, "nobody's next item is Alien but that of the first, who was shown it"


@pytest.mark.parametrize("lines", [1, 2, 5])
def test_an_answer_that_says_the_line_before_again_is_no_memory(lines: int) -> None:
    """Items in the order of their years: a copy is often right about the year, and as often at the next item."""
    n = 300
    catalogue = {"title": [f"Film {i}" for i in range(n)], "year": [1900 + i // 6 for i in range(n)]}
    said = [{"title": f"Film {i - 1}", "year": str(catalogue["year"][i - 1])} for i in range(lines, n)]
    rows = [row(item, one) for item, one in enumerate(said, start=lines)]
    found = coverage(records(rows, task="catalogue_entry"), catalogue, Entry(lines=lines))
    assert found is not None
    assert (found.titles, found.chance_titles, found.copied) == (0, 0, 1)
    assert found.years == pytest.approx(5 / 6, abs=0.01)
    assert found.chance_years == pytest.approx(4 / 6, abs=0.01), "one step further"


def test_data_without_years_or_answers_say_nothing_of_them() -> None:
    answers = records([row(0, {"title": "x"})], task="catalogue_entry")
    found = coverage(answers, {"title": TITLES}, ENTRY)
    assert found is not None
    assert (found.titles, found.years, found.genres) == (0.0, None, None)
    assert coverage(records([row(0, None)], task="catalogue_entry"), CATALOGUE, ENTRY) is None


@pytest.mark.parametrize("title", ["Matrix, The (1999)", "the matrix", "The  Matrix."])
def test_titles_are_the_same_whatever_their_notation(title: str) -> None:
    assert plain_title(title) == "the matrix"
