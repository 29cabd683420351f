"""Values become readable, reproducible texts; what says nothing becomes no text."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

import embed.texts
from augrec.artefacts.errors import DataError
from embed.texts import answer_text, item_text, own_text, profile_text


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(embed.texts).failed == 0
    assert doctest.testmod(embed.texts).attempted >= 2


@pytest.mark.parametrize(
    "value",
    [None, "", "  ", "unknown", "Unknown", "UNKNOWN ", "N/A", "none", "Null", [], ["unknown", None], float("-inf")],
)
def test_an_answer_that_says_nothing_is_missing(value):
    assert answer_text(value) is None


def test_a_film_may_be_called_unknown_but_the_filler_is_missing():
    assert own_text("Unknown") == "Unknown"
    assert own_text("unknown") is None
    assert own_text(float("nan")) is None
    assert own_text(" ") is None
    assert own_text("None") == "None"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1986.0, "1986"),
        (1986, "1986"),
        (4.5, "4.5"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (("Drama", 2.0, False), "Drama, 2, no"),
        ("  Steven\n Spielberg ", "Steven Spielberg"),
        (["Drama", "unknown", "War"], "Drama, War"),
        ("Zoë Ñandú", "Zoë Ñandú"),
    ],
)
def test_values_as_text(value, text):
    assert answer_text(value) == text


def test_a_profile_leaves_out_what_is_unknown():
    fields = {"age": "25-34", "gender": None, "liked_genres": ["Drama"], "disliked_genres": [], "country": "Unknown"}
    assert profile_text(fields) == "Age: 25-34. Liked genres: Drama."
    assert profile_text({"age": "unknown", "liked_genres": []}) is None


@pytest.mark.parametrize("field", ["profile", "summary", "text"])
@pytest.mark.parametrize("end", [".", "!", "?"])
def test_prose_keeps_its_own_words_and_the_end_of_its_sentence(field, end):
    assert profile_text({field: f"Enjoys slow thrillers{end}"}) == f"Enjoys slow thrillers{end}"
    assert profile_text({field: "Enjoys slow thrillers"}) == "Enjoys slow thrillers."
    assert item_text({"title": f"Who{end}", field: "Slow"}) == f"Who{end} Slow."


def test_the_year_is_said_once():
    assert item_text({"title": "Heat (1995)", "year": 1995}) == "Heat (1995)."
    assert item_text({"title": "Heat", "year": None, "genres": ["Action"]}) == "Heat. Genres: Action."
    assert item_text({"title": None, "year": 1995, "genres": None}) == "Year: 1995."
    assert item_text({"title": "unknown", "year": None, "genres": ["unknown"]}) is None


def test_a_nested_value_is_refused():
    nested = {"director": "X" * 100}
    with pytest.raises(DataError, match="a value of type dict has no text") as error:
        answer_text(nested)
    assert error.value.where == repr(nested)[:80]
    assert error.value.remedy == "use strings, numbers, lists"


values = st.one_of(
    st.none(), st.text(max_size=20), st.integers(), st.floats(), st.lists(st.text(max_size=8), max_size=4)
)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True), values, max_size=5))
def test_any_answer_gives_one_clean_line_or_none(fields):
    text = profile_text(fields)
    assert text is None or (text.strip() and "\n" not in text)
    assert (text is None) == all(answer_text(value) is None for value in fields.values())
