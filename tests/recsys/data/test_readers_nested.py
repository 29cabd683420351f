"""Values inside values: Amazon's and Goodreads' lines, and lists written as text."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.errors import DataError
from recsys.data.readers.base import RawData
from recsys.data.readers.nested import at_path, text_of, values_of

TABLE = {"interactions": "i.csv", "items": "s.json", "item": "asin", "user": "user"}
CLICKS = "user,asin\nu,a\nu,b\n"
AMAZON_2023 = [
    {
        "asin": "a",
        "title": "Mask",
        "description": ["A mask.", "For faces."],
        "details": {"Brand": "Kelpie", "Item Weight": "2 ounces"},
        "images": [{"thumb": "x"}],
        "price": 12.5,
        "categories": [],
    },
    {
        "asin": "b",
        "title": "",
        "description": "One text.",
        "details": {"Brand": None},
        "images": [],
        "price": None,
        "categories": ["Beauty", "Masks"],
    },
]
AMAZON_2014 = [
    {"asin": "a", "title": 'Gull\'s "Nest"', "categories": [["Toys", "Puzzles"], ["Toys", "Games"]], "salesRank": {}},
    {"asin": "b", "categories": [["Toys"]], "salesRank": {"Toys": 7}, "price": 3.0},
]


def lines(rows: list[dict[str, Any]]) -> str:
    return "\n".join(map(json.dumps, rows)) + "\n"


def as_list(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, indent=2)


def literals(rows: list[dict[str, Any]]) -> str:
    return "\n".join(map(repr, rows)) + "\n"


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def read(read_files: Callable, content: str | bytes, **table: Any) -> RawData:
    return read_files("table", {"i.csv": CLICKS, table.get("items", "s.json"): content}, TABLE | table)


@pytest.mark.parametrize("write", [lines, as_list, literals])
def test_nested_columns_nobody_names_are_left_out(read_files: Callable, write: Callable) -> None:
    raw = read(read_files, write(AMAZON_2023), rename={"categories": "genres"})
    assert list(raw.items) == ["item", "title", "description", "price", "genres"]
    assert raw.items["description"].tolist() == ["A mask. For faces.", "One text."]
    assert raw.items["price"].tolist()[0] == 12.5
    assert raw.items["title"].isna().tolist() == [False, True]
    assert raw.items["genres"].tolist() == [[], ["Beauty", "Masks"]]
    assert any("nested columns left out: details, images" in note for note in raw.notes)


@pytest.mark.parametrize(
    ("rename", "column", "expected"),
    [
        ({"details.Brand": "brand"}, "brand", ["Kelpie", None]),
        ({"details": "about"}, "about", ["Brand: Kelpie; Item Weight: 2 ounces", None]),
        ({"images.thumb": "picture"}, "picture", ["x", None]),
        ({"description": "genres"}, "genres", [["A mask.", "For faces."], ["One text."]]),
        ({"details": "genres"}, "genres", [["Brand", "Item Weight"], []]),
    ],
)
def test_named_ones_are_flattened(read_files: Callable, rename: dict, column: str, expected: list) -> None:
    raw = read(read_files, lines(AMAZON_2023), rename=rename)
    assert raw.items[column].astype(object).where(raw.items[column].notna(), None).tolist() == expected


def test_lists_of_lists_are_distinct_values_in_order(read_files: Callable) -> None:
    for content in (lines(AMAZON_2014), literals(AMAZON_2014)):
        raw = read(read_files, content, rename={"categories": "genres"})
        assert raw.items["genres"].tolist() == [["Toys", "Puzzles", "Games"], ["Toys"]]
        assert raw.items["title"].tolist()[0] == 'Gull\'s "Nest"'


def test_parquet_is_flattened_alike(read_files: Callable) -> None:
    rows = [
        {
            "asin": "a",
            "details": {"Brand": "K"},
            "tags": ["x", "y"],
            "parts": [["p"], ["q", "p"]],
            "vector": [0.5, 1.0],
        },
        {"asin": "b", "details": {"Brand": "L"}, "tags": [], "parts": None, "vector": [1.0, 2.0]},
    ]
    rename = {"details.Brand": "brand", "parts": "genres"}
    raw = read(read_files, parquet(rows), items="s.parquet", rename=rename)
    assert raw.items["brand"].tolist() == ["K", "L"]
    assert raw.items["genres"].tolist() == [["p", "q"], []]
    assert raw.items["tags"].tolist()[0] == "x y"
    assert raw.items["vector"].tolist() == [[0.5, 1.0], [1.0, 2.0]]
    left = read(read_files, parquet(rows), items="s.parquet")
    assert "details" not in left.items
    assert any("nested columns left out: details" in note for note in left.notes)


def test_lists_written_as_text_are_lists(read_files: Callable) -> None:
    items = "asin,genres\na,\"['Drama', 'War']\"\nb,\"[{'id': 16, 'name': 'Animation'}]\"\n"
    raw = read(read_files, items, items="s.csv")
    assert raw.items["genres"].tolist() == [["Drama", "War"], ["Animation"]]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("['Drama' 'War']", ["Drama", "War"]),
        ("[\"Children's\" 'War'\n 'Film \\'Noir\\'']", ["Children's", "War", "Film 'Noir'"]),
        ("['Drama'  'War' 'Drama']", ["Drama", "War"]),
        ("['a \" b', 'c']", ['a " b', "c"]),
        ("['Drama']", ["Drama"]),
        ("{'War', 'Drama'}", ["War", "Drama"]),
        ("('War', ('Drama',))", ["War", "Drama"]),
        ("['Drama', nan, None]", ["Drama"]),
        ('["Drama", null]', ["Drama"]),
        ("{'Drama': 3, 'War': 0}", ["Drama"]),
        ("set()", []),
        ("{}", []),
        ("(no genres listed)", ["(no genres listed)"]),
        ("[REC]", ["[REC]"]),
        ("{Proof}", ["{Proof}"]),
    ],
)
def test_values_that_programs_printed_are_several(text: str, values: list[str]) -> None:
    """As pandas writes cells that hold lists, tuples, sets and arrays of NumPy."""
    assert values_of(text, "|") == values


@pytest.mark.parametrize(
    ("value", "values", "text"),
    [
        ({"history, biography": 5, "fiction": 0}, ["history, biography"], "history, biography: 5; fiction: 0"),
        ([{"count": "9", "name": "to-read"}, {"count": "2", "name": "owned"}], ["to-read", "owned"], "to-read, owned"),
        ([["a", ["b"]], "a", None], ["a", "b"], "a, b"),
        (None, [], ""),
        (True, ["true"], "true"),
    ],
)
def test_any_value_has_values_and_a_text(value: Any, values: list[str], text: str) -> None:
    assert (values_of(value), text_of(value)) == (values, text)


def test_paths_reach_into_lists() -> None:
    assert at_path([{"name": "x"}, {"name": None}, {"id": 1}], ["name"]) == ["x"]
    assert at_path({"a": {"b": 3}}, ["a", "b"]) == 3
    assert at_path("text", ["a"]) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"asin": "a"}\n{"asin": \n', r"cannot be read as json.*s\.json:2"),
        ('{"asin": "a"} {"asin": "b"}\n', r"cannot be read as json.*s\.json:1"),
        ('{"asin": "a"}\n"b"\n', r"expected an object.*s\.json:2"),
        ("[1, 2]", r"entry 1 of the list.*expected an object"),
        ('[{"asin": "a"}', r"cannot be read as json"),
        ('{"id": "a"}\n', r"no column asin; the file has id"),
        ('{"asin": null}\n', r"asin is missing, expected an id.*data row 1"),
        ("[" * 100_000, r"cannot be read as json"),
    ],
)
def test_a_broken_line_is_named(read_files: Callable, content: str, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        read(read_files, content)


def test_odd_letters_do_not_stop_the_reading(read_files: Callable) -> None:
    literal = read(read_files, "{'asin': 'a', 'title': 'bad \\ud800 half'}\n")
    assert literal.items["title"].tolist() == ["bad � half"]
    raw = read(read_files, '{"asin": "a", "title": "bad \\ud800 half", "price": NaN}\n')
    assert raw.items["title"].tolist() == ["bad � half"]
    assert raw.items["price"].isna().all()


@pytest.mark.parametrize(
    ("ratings", "times", "extra"),
    [
        ([5, 4.5, None], [10, 20, 30], [1, 2, 3]),
        (["5", 4.5, "N/A"], ["10", 20.0, 30], [1, 2, 3]),
        ([5, "4.5", None], [10, 20, 30], [{"p": [1]}, "none", []]),
    ],
)
def test_interactions_may_change_types_and_lack_ratings(
    read_files: Callable, ratings: list, times: list, extra: list
) -> None:
    rows = [
        {"u": u, "i": i, "r": r, "t": t, "v": v}
        for u, i, r, t, v in zip("abc", "xyz", ratings, times, extra, strict=True)
    ]
    table = {"interactions": "i.jsonl", "user": "u", "item": "i", "rating": "r", "timestamp": "t"}
    for content in (lines(rows), as_list(rows)):
        interactions = read_files("table", {"i.jsonl": content}, table).interactions
        assert interactions[["user", "item"]].to_numpy().tolist() == [["a", "x"], ["b", "y"], ["c", "z"]]
        assert interactions["rating"].tolist()[:2] == [5.0, 4.5]
        assert interactions["rating"].isna().tolist() == [False, False, True]
        assert interactions["timestamp"].tolist() == [10, 20, 30]


def test_bytes_that_are_no_text_are_named(read_files: Callable) -> None:
    rows = [{"user_id": b"\xff\xfe", "item_id": "a"}]
    with pytest.raises(DataError, match=r"(?s)user_id holds bytes that are no text.*i\.parquet.*in hex"):
        read_files("table", {"i.parquet": parquet(rows)}, {"interactions": "i.parquet"})
