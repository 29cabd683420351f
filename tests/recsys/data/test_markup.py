"""HTML leaves titles and texts, and what only looks like it stays."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.markup import plain_text, without_markup
from recsys.data.side_tables import cleaned


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Sea Foam &amp; Clay", "Sea Foam & Clay"),
        ("Tom &amp;amp; Jerry&#39;s &quot;Best&quot;", 'Tom & Jerry\'s "Best"'),
        ("fine <br /> good<br>end", "fine good end"),
        ("<p>One</p><p>two <b>three</b>s</p>", "One two threes"),
        ("&lt;b&gt;bold&lt;/b&gt; text", "bold text"),
        ('<a href="http://x">shop</a> <script>alert(1)</script>now', "shop now"),
        ("caf&eacute;&nbsp;bar", "café\xa0bar"),
        ("I <3 AT&T, R&B and 3 < 4 > 2", "I <3 AT&T, R&B and 3 < 4 > 2"),
        ("<Untitled> &copy", "<Untitled> &copy"),
        ("two  blanks stay", "two  blanks stay"),
    ],
)
def test_markup_goes_and_letters_stay(text: str, plain: str) -> None:
    assert plain_text(text) == plain


@given(st.text(alphabet="abc &<>;/b3#", max_size=30))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = without_markup(pa.array([text]))[0]
    assert once.to_pylist() == [plain_text(text)]


def test_texts_and_lists_of_a_table_are_cleaned_and_counted() -> None:
    table = pa.table(
        {
            "item": pa.array([0, 1, 2], pa.int32()),
            "source_id": ["&amp;", "b", "c"],
            "title": ["A &amp; B", None, "C"],
            "note": ["<br>", "x", "y"],
            "genres": pa.array([["X &amp; Y", "Z"], None, []], pa.list_(pa.string())),
        }
    )
    clean, notes = cleaned(table, "item")
    assert clean["title"].to_pylist() == ["A & B", None, "C"]
    assert clean["genres"].to_pylist() == [["X & Y", "Z"], [], []]
    assert clean["source_id"].to_pylist() == ["&amp;", "b", "c"]  # an id is what the source says
    assert clean["note"].to_pylist() == [None, "x", "y"]
    assert notes == ["items: HTML tags and entities removed from title (1), note (1), genres (1)"]
    assert cleaned(clean, "item")[1] == []
