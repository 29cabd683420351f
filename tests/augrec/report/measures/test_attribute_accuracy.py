"""What a source says of items against the data's own columns, by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest

from augrec.report.measures.attribute_accuracy import attribute_accuracy, is_right

ITEMS = pa.table(
    {
        "item": pa.array(range(5), pa.int32()),
        "title": [f"Title {item}" for item in range(5)],
        "director": ["Ozu, Yasujirō", "Ida Lupino", "Ida Lupino", None, "Joel Coen"],
        "genres": [["Drama"], ["Film-Noir", "Crime"], [], ["Drama"], ["Crime", "Drama"]],
    }
)


def test_shares_are_of_the_items_that_the_data_know() -> None:
    answers = {
        0: {"director": "Yasujirō Ozu", "genre": "drama", "country": "Japan"},
        1: {"director": "unknown", "genre": "Film-Noir", "country": "Japan"},
        2: {"director": "Ida Lupino", "genre": "Drama", "country": "Japan"},
        3: {"director": "Ida Lupino", "genre": "Crime", "country": "Japan"},
        4: {"director": "Ethan Coen", "genre": "unknown", "country": "Japan"},
    }
    director, genre = attribute_accuracy("llm", answers, ITEMS)
    assert (director.field, director.column, director.items) == ("director", "director", 4)
    assert director.right.mean == pytest.approx(2 / 4)
    assert director.right.low <= 2 / 4 <= director.right.high  # type: ignore[operator]
    assert (director.unknown, director.commonest) == (1 / 4, 2 / 4)
    assert director.right_of_told == pytest.approx(2 / 3)
    assert (genre.column, genre.items, genre.right.mean, genre.commonest) == ("genres", 4, 2 / 4, 3 / 4)


def test_one_answer_for_everything_is_as_good_elsewhere() -> None:
    (found,) = attribute_accuracy("rule", {item: {"director": "Ida Lupino"} for item in range(5)}, ITEMS)
    assert found.right.mean == found.elsewhere == found.commonest == 2 / 4
    (nothing,) = attribute_accuracy("rule", {0: {"director": "unknown"}}, ITEMS)
    assert (nothing.right.mean, nothing.right.low, nothing.right_of_told, nothing.unknown) == (0, None, None, 1)
    assert attribute_accuracy("rule", {0: {"title": "Title 0", "language": "English"}}, ITEMS) == ()


@pytest.mark.parametrize(
    ("said", "known", "right"),
    [
        ("200-299", "211", True),
        ("200-299", "300", False),
        ("600 or more", "600", True),
        ("1-99", "Drama", False),
        ("unknown", "unknown", False),
        ("--", "", False),
    ],
)
def test_a_range_holds_numbers_and_nothing_known_is_not_right(said: str, known: str, right: bool) -> None:
    assert is_right(said, [known]) is right
