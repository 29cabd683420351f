"""Your own tables in every file type, read without the network."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.errors import DataError
from recsys.data.readers.blocks import blocks
from recsys.data.readers.delimited import Layout, header_fields, read_delimited, refuse_broken_quotes
from recsys.data.readers.registry import read
from recsys.data.readers.side_columns import side_column

FRAME = pd.DataFrame(
    {"who": ["007", "7", "NA"], "what": ["a", "b", "a"], "stars": [1.0, 2.5, 5.0], "when": [10, 20, 30]}
)
ITEMS = pd.DataFrame({"what": ["a", "b"], "Name": ["NA", "B, the sequel"], "Tags": ["x|y", None], "year": [1999, None]})
TABLE = {"user": "who", "item": "what", "rating": "stars", "timestamp": "when"}


def as_bytes(frame: pd.DataFrame, suffix: str) -> bytes:
    if suffix == "parquet":
        out = io.BytesIO()
        frame.to_parquet(out)
        return out.getvalue()
    if suffix == "jsonl":
        return frame.to_json(orient="records", lines=True).encode()
    return frame.to_csv(index=False, sep="\t" if suffix == "tsv" else ",").encode()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_file_type_gives_the_same(read_files: Callable, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    names = {"interactions": f"log.{suffix}", "items": f"things.{suffix}"}
    files = {names["interactions"]: as_bytes(FRAME, suffix), names["items"]: as_bytes(ITEMS, suffix)}
    raw = read_files("table", files, TABLE | names | {"rename": {"Name": "title", "Tags": "genres"}})
    assert raw.interactions.to_numpy().tolist() == [["007", "a", 1.0, 10], ["7", "b", 2.5, 20], ["NA", "a", 5.0, 30]]
    assert raw.items["item"].tolist() == ["a", "b"]
    assert raw.items["title"].tolist() == ["NA", "B, the sequel"]
    assert raw.items["genres"].tolist() == [["x", "y"], []]
    assert raw.items["year"].tolist() == [1999, pd.NA]


def test_numeric_ids_become_text(read_files: Callable) -> None:
    lines = b'{"user_id": 12, "item_id": 3}\n{"user_id": 13, "item_id": 4}\n'
    raw = read_files("table", {"log.jsonl": lines}, {"interactions": "log.jsonl"})
    assert raw.interactions.to_numpy().tolist() == [["12", "3"], ["13", "4"]]


def test_datetimes_become_seconds(read_files: Callable) -> None:
    frame = FRAME.assign(when=pd.to_datetime(["1970-01-01 00:00:01", "1970-01-02 00:00:00", "2001-09-09 01:46:40"]))
    raw = read_files("table", {"log.parquet": as_bytes(frame, "parquet")}, TABLE | {"interactions": "log.parquet"})
    assert raw.interactions["timestamp"].tolist() == [1, 86400, 1_000_000_000]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", "who~what~stars~when\n1~2~3~4\n", r"no column who, what, stars, when; the file has who~what"),
        ("log.csv", "who,what,star,when\n1,2,3,4\n", r"no column stars; the file has .*did you mean 'star'"),
        ("log.csv", "who,what,stars,when,who\n1,2,3,4,5\n", r"column who occurs 2 times"),
        ("log.csv", 'who,what,stars,when\n1,2,"3,5",4\n', r"stars is '3,5'.*data row 1.*with a point"),
        ("log.csv", "who,what,stars,when\n1,2,inf,4\n", r"stars is 'inf', expected a number.*data row 1"),
        ("log.csv", "who,what,stars,when\n1,2,3,4\n1,2,1e300,4\n", r"stars is '1e300', .*too large.*data row 2"),
        ("log.csv", "who,what,stars,when\n1,2,good,4\n", r"stars is 'good', expected a number.*data row 1"),
        ("log.csv", "who,what,stars,when\n1,2,3,4\n,2,3,4\n", r"who is .*expected an id.*data row 2"),
        ("log.csv", "who,what,stars,when\n1,2,3,4\n1,2,3,4,5,6\n", r"cannot be read as csv.*log\.csv"),
        (
            "log.csv",
            "who,what,stars,when\n1,2,3,1700000000\n1,3,3,1700000000000\n",
            r"when is '1700000000'.*data row 1",
        ),
        ("log.csv", 'who,what,stars,when\n1,a,3,4\n1,"b,3,4\n1,c,3,4\n', r"quotation mark.*log\.csv:3"),
        ("log.csv", "who,what,stars,when\n1,a,3,4\n1,b\0,3,4\n", r"NUL byte.*log\.csv:3"),
        ("log.csv", b"who,what,stars,when\n1,caf\xe9,3,4\n", r"not utf-8.*log\.csv:2.*encoding: latin-1"),
        ("log.csv", "who,what,stars,when\n".encode("utf-16"), r"UTF-16.*encoding: utf-16"),
        ("log.csv.gz", b"\x1f\x8b not gzip", r"cannot be decompressed as \.gz"),
        ("log.jsonl", '{"who": "1", "what": "a", "stars": 3, "when": 4}\n[1]\n', r"expected an object.*log\.jsonl:2"),
        ("log.csv", "who,what,stars,when\n", r"no rows|cannot be read"),
        ("log.csv", "", r"empty"),
        ("log.jsonl", '{"who": "1", "what"\n', r"cannot be read as json.*log\.jsonl"),
        ("log.parquet", "not parquet", r"cannot be read as parquet.*log\.parquet"),
        ("log.xlsx", "x", r"'\.xlsx' are not read.*\.parquet"),
    ],
)
def test_a_bad_table_is_named(read_files: Callable, name: str, content: str, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_files("table", {name: content}, TABLE | {"interactions": name})


def test_a_missing_table_is_named(read_files: Callable) -> None:
    with pytest.raises(DataError, match=r"log\.csv not found"):
        read_files("table", {}, {"interactions": "log.csv"})


def test_side_columns_cannot_take_our_names(read_files: Callable) -> None:
    items = "item_id,source_id\na,1\n"
    with pytest.raises(DataError, match="source_id"):
        read_files(
            "table", {"i.csv": "user_id,item_id\n1,a\n", "s.csv": items}, {"interactions": "i.csv", "items": "s.csv"}
        )


def csv_of(rows: list[str], header: str = "user_id,item_id,rating") -> str:
    return "\n".join([header, *rows]) + "\n"


def test_types_that_change_late_are_read(read_files: Callable) -> None:
    stars = csv_of([f"u{row % 50},{row},{4 if row < 15_000 else 4.5}" for row in range(25_000)])
    things = "\n".join(
        ["item_id,title,genres,price", *(f"{i},{1000 + i},,{i}" for i in range(24_999)), "24999,a tale,Drama,free"]
    )
    table = {"rating": "rating", "interactions": "i.csv", "items": "s.csv"}
    raw = read_files("table", {"i.csv": stars, "s.csv": things}, table)
    assert raw.interactions["rating"].iloc[[0, 14_999, 15_000]].tolist() == [4.0, 4.0, 4.5]
    assert raw.items["title"].iloc[[0, 99, 24_999]].tolist() == ["1000", "1099", "a tale"]
    assert raw.items["genres"].iloc[[0, 24_999]].tolist() == [[], ["Drama"]]
    assert raw.items["price"].iloc[[0, 24_999]].tolist() == ["0", "free"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_ids_are_text_whatever_they_look_like(read_files: Callable, suffix: str) -> None:
    written = ["00030", "30", "30.0", "1e5", "NA", "12345678901234567890"]
    frame = pd.DataFrame({"user_id": written, "item_id": written[::-1]})
    raw = read_files("table", {f"i.{suffix}": as_bytes(frame, suffix)}, {"interactions": f"i.{suffix}"})
    assert raw.interactions["user"].tolist() == written
    assert raw.interactions["item"].tolist() == written[::-1]


def test_numbers_as_ids_keep_their_digits(read_files: Callable) -> None:
    rows = [b'{"user_id": 30.0, "item_id": 12345678901234567890}\n', b'{"user_id": 30, "item_id": 1}\n']
    expected = [["30.0", "12345678901234567890"], ["30", "1"]]
    for step in (1, -1):
        raw = read_files("table", {"i.jsonl": b"".join(rows[::step])}, {"interactions": "i.jsonl"})
        assert raw.interactions.to_numpy().tolist() == expected[::step]
    floats = pd.DataFrame({"user_id": [30.0, 1.5], "item_id": [1, 2]})
    raw = read_files("table", {"i.parquet": as_bytes(floats, "parquet")}, {"interactions": "i.parquet"})
    assert raw.interactions.to_numpy().tolist() == [["30.0", "1"], ["1.5", "2"]]


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["1", "2", "1.0", "3.0"], "2 different values of item_id are alike .* '1' and '1.0'"),
        (["7", "007"], "2 different values of item_id are alike .* '7' and '007'"),
        (["\u00e9", "e\u0301", "e"], "2 different values of item_id are alike"),
        (["0", "0.0", "00"], "3 different values"),
        (["007", "8.0", "\u00e9", "-1", "1"], ""),
        (["0a1", "a1", "10", "1"], ""),
    ],
)
def test_ids_that_are_written_in_two_ways_are_said(read_files: Callable, ids: list[str], said: str) -> None:
    raw = read_files("table", {"i.csv": csv_of([f"u,{name},1" for name in ids])}, {"interactions": "i.csv"})
    assert raw.interactions["item"].tolist() == ids
    notes = [note for note in raw.notes if "alike" in note]
    assert len(notes) == bool(said)
    assert re.search(said, "".join(notes))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rating", float("inf"), r"rating is inf, expected a number.*data row 2"),
        ("rating", 1e300, r"rating is 1e\+300, which is too large"),
        ("timestamp", 1_500_000_000, r"timestamp is 1500000000, expected a time in milliseconds.*data row 2"),
    ],
)
def test_errors_show_numbers_as_people_write_them(
    read_files: Callable, column: str, value: float, message: str
) -> None:
    frame = pd.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "b"], column: [1_500_000_000_000, value]})
    if column == "rating":
        frame[column] = [1.0, value]
    table = {"interactions": "i.parquet", column: column}
    with pytest.raises(DataError, match=rf"(?s){message}"):
        read_files("table", {"i.parquet": as_bytes(frame, "parquet")}, table)


def test_uuids_as_sixteen_bytes_are_refused(read_files: Callable) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"user_id": pa.array([b"0123456789abcdef"], pa.binary(16)), "item_id": ["a"]}), out)
    with pytest.raises(DataError, match=r"user_id holds bytes that are no text"):
        read_files("table", {"i.parquet": out.getvalue()}, {"interactions": "i.parquet"})


def test_blanks_around_ids_are_removed_and_counted(read_files: Callable) -> None:
    raw = read_files("table", {"i.csv": csv_of([" u1,a ,1", "u1,\tb,2", "u2,c\xa0,3"])}, {"interactions": "i.csv"})
    assert raw.interactions.to_numpy().tolist() == [["u1", "a"], ["u1", "b"], ["u2", "c"]]
    assert [note for note in raw.notes if "blanks" in note] == [
        "i.csv: 1 of 3 values of user_id had blanks around them: removed",
        "i.csv: 3 of 3 values of item_id had blanks around them: removed",
    ]


@pytest.mark.parametrize(
    ("name", "content", "settings"),
    [
        ("i.csv", "user_id;item_id;rating\nu;a, b;1\n", {}),
        ("i.csv", "user_id\titem_id\trating\nu\ta, b\t1\n", {}),
        ("i.dat", "user_id::item_id::rating\nu::a, b::1\n", {}),
        ("i.txt", "user_id|item_id|rating\nu|a, b|1\n", {}),
        ("i.txt", 'user_id item_id rating\nu "a, b" 1\n', {}),
        ("i.csv", "user_id~item_id~rating\nu~a, b~1\n", {"separator": "~"}),
        ("i.CSV", '\ufeff user_id ,item_id,rating\r\nu,"a, b",1\r\n\r\n', {}),
        ("i.csv", 'user_id,item_id,rating\nu,"a, b",1', {}),
        ("i.csv", "user_id,item_id,rating\nu,a, b,1\n".replace(",", ";").replace("a; b", "a, b"), {"separator": ";"}),
        ("i.csv", 'u,"a, b",1\n', {"columns": {"i.csv": ["user_id", "item_id", "rating"]}}),
        ("i.tsv", "user_id\titem_id\trating\nu\ta, b\t1\n", {}),
        ("i.tsv", 'user_id\titem_id\trating\nu\t"a, b"\t1\n', {"quoting": "csv"}),
        ("i.csv", ',user_id,item_id,rating\n0,u,"a, b",1\n', {}),
        ("i.csv", "user_id;item_id;rating\nu;a, b;1\n".encode("utf-16"), {"encoding": "utf-16"}),
    ],
)
def test_layouts_of_text_are_told_apart(
    read_files: Callable, name: str, content: str | bytes, settings: dict[str, object]
) -> None:
    raw = read_files("table", {name: content}, {"interactions": name, "rating": "rating"} | settings)
    assert raw.interactions.to_numpy().tolist() == [["u", "a, b", 1.0]]


@pytest.mark.parametrize("packed", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_compressed_text_is_read(read_files: Callable, packed: str, suffix: str) -> None:
    content = as_bytes(FRAME, suffix)
    squeeze = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd}[packed]
    name = f"log.{suffix}{packed}"
    raw = read_files("table", {name: squeeze(content)}, TABLE | {"interactions": name})
    assert raw.interactions.to_numpy().tolist() == [["007", "a", 1.0, 10], ["7", "b", 2.5, 20], ["NA", "a", 5.0, 30]]


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(content)
    return sink.getvalue().to_pybytes()


def test_latin_1_is_read_when_it_is_named(read_files: Callable) -> None:
    raw = read_files(
        "table", {"i.csv": csv_of(["u,café,1"]).encode("latin-1")}, {"interactions": "i.csv", "encoding": "latin-1"}
    )
    assert raw.interactions["item"].tolist() == ["café"]


def test_tab_separated_text_has_no_quoting(read_files: Callable) -> None:
    titles = ['"Dune Walkers" return', '"Nobody saw it coming', 'Six "hidden" bays', 'closing words" of', '"whole"']
    news = "\n".join(["item_id\ttitle", *(f"N{i}\t{title}" for i, title in enumerate(titles))])
    plays = "\n".join(["user_id\titem_id", *(f'"u{i}\tN{i % 5}' for i in range(300))])
    raw = read_files("table", {"c.tsv": plays, "n.tsv": news}, {"interactions": "c.tsv", "items": "n.tsv"})
    assert raw.items["title"].tolist() == titles
    assert len(raw.interactions) == 300


def test_quoted_fields_hold_separators_lines_and_marks(read_files: Callable) -> None:
    items = 'item_id,title,note\na,"One, ""two""\nthree",6" nail\nb,"",say "hi"\n'
    raw = read_files("table", {"i.csv": csv_of(["u,a,1"]), "s.csv": items}, {"interactions": "i.csv", "items": "s.csv"})
    assert raw.items["title"].tolist()[0] == 'One, "two"\nthree'
    assert raw.items["title"].isna().tolist() == [False, True]
    assert raw.items["note"].tolist() == ['6" nail', 'say "hi"']


def test_missing_ratings_and_dashes_are_missing(read_files: Callable) -> None:
    files = {
        "i.csv": csv_of(["u,a,4", "u,b,", "u,c,-", "u,d,--"]),
        "s.csv": "item_id,price\na,9.5\nb,—\nc,\nd,--\ne,3\n",
    }
    raw = read_files("table", files, {"interactions": "i.csv", "items": "s.csv", "rating": "rating"})
    assert raw.interactions["rating"].isna().tolist() == [False, True, True, True]
    assert raw.items["price"].isna().tolist() == [False, True, True, True, False]
    assert "s.csv: 2 of 5 values of price are a dash or the like: missing" in raw.notes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rename": {"Titel": "title"}}, r"rename names the column 'Titel'.*did you mean 'title'"),
        ({"rename": {"details.Brnad": "brand"}}, r"rename names the column 'details\.Brnad'"),
        ({"lists": ["genre"]}, r"lists names the column 'genre'.*did you mean 'genres'"),
    ],
)
def test_a_named_column_that_is_not_there_is_an_error(read_files: Callable, settings: dict, message: str) -> None:
    files = {"i.csv": csv_of(["u,a,1"]), "s.csv": "item_id,title,genres\na,A,x|y\n"}
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_files("table", files, {"interactions": "i.csv", "items": "s.csv"} | settings)


def test_ids_have_another_name_in_the_side_tables(read_files: Callable) -> None:
    files = {
        "plays.dat": "userID\tartistID\tweight\n2\t51\t13883\n2\t52\t11690\n",
        "artists.dat": "id\tname\turl\n51\tMALICE MIZER\thttp://x\n52\tDiary of Dreams\thttp://y\n",
        "people.tsv": "uid\tage\n2\t30\n",
    }
    table = {"interactions": "plays.dat", "items": "artists.dat", "users": "people.tsv", "user": "userID"}
    table |= {"item": "artistID", "items_id": "id", "users_id": "uid", "rename": {"name": "title"}}
    raw = read_files("table", files, table)
    assert raw.items.to_numpy().tolist() == [["51", "MALICE MIZER", "http://x"], ["52", "Diary of Dreams", "http://y"]]
    assert raw.users.to_numpy().tolist() == [["2", 30]]
    renamed = {key: value for key, value in table.items() if key not in ("items_id", "users_id")}
    renamed["rename"] = {"name": "title", "id": "artistID", "uid": "userID"}
    again = read_files("table", files, renamed)
    assert again.items.equals(raw.items)
    assert again.users.equals(raw.users)


def test_rows_written_twice_are_left_out_and_counted(read_files: Callable) -> None:
    files = {"i.csv": csv_of(["u,a,1"]), "s.csv": "item_id,title\na,A\nb,B\na,A\n"}
    raw = read_files("table", files, {"interactions": "i.csv", "items": "s.csv"})
    assert raw.items["item"].tolist() == ["a", "b"]
    assert "s.csv: 1 row repeats another row of the same item: left out" in raw.notes
    with pytest.raises(DataError, match="item 'a' has more than one row"):
        read_files("table", files | {"s.csv": "item_id,title\na,A\na,B\n"}, {"interactions": "i.csv", "items": "s.csv"})


def test_years_are_taken_from_dates(read_files: Callable) -> None:
    items = "item_id,year\n" + "".join(f"{i},{y}\n" for i, y in enumerate(["1999", "1999.0", "5 May 2001", "n.d.", ""]))
    raw = read_files("table", {"i.csv": csv_of(["u,0,1"]), "s.csv": items}, {"interactions": "i.csv", "items": "s.csv"})
    assert raw.items["year"].tolist() == [1999, 1999, 2001, pd.NA, pd.NA]
    assert "s.csv: 1 value of year holds no year, e.g. 'n.d.'" in raw.notes


def test_there_is_no_year_zero(read_files: Callable) -> None:
    items = "item_id,year\n1,0\n2,1999\n3,-750\n"
    raw = read_files("table", {"i.csv": csv_of(["u,1,1"]), "s.csv": items}, {"interactions": "i.csv", "items": "s.csv"})
    assert raw.items["year"].tolist() == [pd.NA, 1999, -750]
    assert "s.csv: 1 value of year holds no year, e.g. '0'" in raw.notes


def test_a_header_in_the_middle_is_named(read_files: Callable) -> None:
    with pytest.raises(DataError, match=r"(?s)repeats the header.*data row 2"):
        read_files("table", {"i.csv": csv_of(["u,a,1", "user_id,item_id,rating"])}, {"interactions": "i.csv"})


@pytest.mark.parametrize(
    ("header", "remedy"),
    [({}, "headers of the files that were joined"), ({"s.csv": ["item_id", "price"]}, "has a header")],
)
def test_a_header_among_items_is_named_and_makes_no_text_of_numbers(
    read_files: Callable, header: dict, remedy: str
) -> None:
    items = "item_id,price\n1,2\n" + ("" if header else "item_id,price\n")
    table = {"interactions": "i.csv", "items": "s.csv", "columns": header}
    with pytest.raises(DataError, match=rf"(?s)repeats the header.*s\.csv, data row {1 if header else 2}.*{remedy}"):
        read_files("table", {"i.csv": csv_of(["u,1,1"]), "s.csv": items}, table)


def test_titles_that_pandas_made_floats_are_what_they_were(read_files: Callable) -> None:
    items = pd.DataFrame({"item_id": ["a", "b", "c"], "title": [1984.0, None, 10_000_000.0]})
    files = {"i.csv": csv_of(["u,a,1"]), "s.parquet": as_bytes(items, "parquet")}
    raw = read_files("table", files, {"interactions": "i.csv", "items": "s.parquet"})
    assert raw.items["title"].iloc[[0, 2]].tolist() == ["1984", "10000000"]
    assert raw.items["title"].isna().tolist() == [False, True, False]


def test_an_id_that_is_an_object_is_named(read_files: Callable) -> None:
    with pytest.raises(DataError, match=r"(?s)user_id is \{'0': 'a'\}, expected an id.*data row 1"):
        read_files("table", {"i.json": '{"user_id": {"0": "a"}, "item_id": "b"}\n'}, {"interactions": "i.json"})


def test_renaming_without_a_side_table_says_so(read_files: Callable) -> None:
    with pytest.raises(DataError, match=r"(?s)rename names the column 'Name'.*name the file that has it"):
        read_files("table", {"i.csv": csv_of(["u,a,1"])}, {"interactions": "i.csv", "rename": {"Name": "title"}})


def test_compression_is_seen_whatever_the_name(read_files: Callable) -> None:
    raw = read_files("table", {"log.csv": gzip.compress(as_bytes(FRAME, "csv"))}, TABLE | {"interactions": "log.csv"})
    assert raw.interactions["user"].tolist() == ["007", "7", "NA"]
    with pytest.raises(DataError, match="archive or a workbook"):
        read_files("table", {"log.csv": b"PK\x03\x04 and more"}, TABLE | {"interactions": "log.csv"})


def test_a_mark_that_swallows_rows_is_an_error_or_a_line(read_files: Callable) -> None:
    clicks = csv_of(["u,a,1", 'u,"b,1', 'u,c",1', "u,d,1"])
    with pytest.raises(DataError, match=r"(?s)line break.*data row 2"):
        read_files("table", {"i.csv": clicks}, {"interactions": "i.csv"})
    files = {"i.csv": csv_of(["u,a,1"]), "s.csv": 'item_id,title\na,"A\nb,B\nc,C"\nd,D\n'}
    raw = read_files("table", files, {"interactions": "i.csv", "items": "s.csv", "rating": "rating"})
    assert raw.notes == ("s.csv: 1 quoted field holds several lines, the first in line 2",)


def test_a_list_that_another_separator_divides_is_said(read_files: Callable) -> None:
    files = {"i.csv": csv_of(["u,a,1"]), "s.csv": 'item_id,genres\na,"Drama, War"\nb,"Comedy, War"\nc,Drama\n'}
    table = {"interactions": "i.csv", "items": "s.csv", "rating": "rating"}
    raw = read_files("table", files, table)
    assert raw.notes == (
        "s.csv: no genres are separated by '|', and 2 hold ',', e.g. 'Drama, War'; see list_separator",
    )
    assert read_files("table", files, table | {"list_separator": ","}).items["genres"].tolist()[0] == ["Drama", "War"]


@pytest.mark.parametrize(
    ("genres", "said"),
    [
        (["Crime", "Cooking", "Travel", "War", "Crime / Cooking"], "and 1 hold '/', e.g. 'Crime / Cooking'"),
        (["Sci-Fi/Fantasy", "Cooking", "Travel"], ""),
        (["Crime > Noir", "Food > Bread", "Travel"], "and 2 hold '>', e.g. 'Crime > Noir'"),
    ],
)
def test_a_list_column_whose_values_are_joined_otherwise_is_said(genres: list[str], said: str) -> None:
    notes: list[str] = []
    side_column(pd.Series(genres, name="genres", dtype="str"), Path("s.csv"), notes)
    assert [note for note in notes if "list_separator" in note] == [note for note in notes if said and said in note]
    assert bool(said) == bool(notes)


def test_marks_after_a_backslash_are_read_when_that_is_named(read_files: Callable) -> None:
    books = '"item_id";"title"\n"01";"\\"Tis; a \\\\ memoir"\n"02";"plain"\n'
    table = {"interactions": "i.csv", "items": "b.csv"}
    files = {"i.csv": csv_of(["u,01,1"]), "b.csv": books}
    with pytest.raises(DataError, match=r"(?s)nothing closes.*b\.csv:2.*escaped"):
        read_files("table", files, table)
    raw = read_files("table", files, table | {"quoting": "escaped"})
    assert raw.items.to_numpy().tolist() == [["01", '"Tis; a \\ memoir'], ["02", "plain"]]
    with pytest.raises(DataError, match=r"(?s)nothing closes.*b\.csv:3"):
        read_files("table", files | {"b.csv": books.replace('plain"', "plain")}, table | {"quoting": "escaped"})


@given(rows=st.lists(st.lists(st.text(alphabet='a",\n x', max_size=4), min_size=2, max_size=2), min_size=1, max_size=5))
def test_whatever_a_writer_quotes_is_read_back(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    data, layout = out.getvalue().encode(), Layout(",", quoted=True)
    table = read_delimited(data, Path("f.csv"), layout, header_fields(data, layout))
    assert [list(row.values()) for row in table.to_pylist()] == rows


@given(text=st.text(alphabet='a",\n', max_size=12))
def test_what_a_strict_parser_refuses_is_refused(text: str) -> None:
    """Python's own strict parser is the reference."""
    data = ("x,y\n" + text).encode()
    try:
        list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
        strict = True
    except csv.Error:
        strict = False
    try:
        refuse_broken_quotes(data, Path("f.csv"), Layout(",", quoted=True))
        ours = True
    except DataError:
        ours = False
    assert ours == strict


def test_genres_are_several_values_whatever_else_is(read_files: Callable) -> None:
    files = {"i.csv": csv_of(["u,a,1"]), "s.csv": "item_id,genres,tags\na,Drama|War,x|y\n"}
    raw = read_files("table", files, {"interactions": "i.csv", "items": "s.csv", "lists": ["tags"]})
    assert raw.items[["genres", "tags"]].to_numpy().tolist() == [[["Drama", "War"], ["x", "y"]]]


LOG = "user_id,item_id\nu,1\nu,2\nv,1\n"


@pytest.mark.parametrize(
    ("name", "items", "titles", "note"),
    [
        ("s.tsv", '"item_id"\t"title"\n1\t"A, ""b"""\n2\t"c\td"\n', ['A, "b"', "c\td"], ""),
        (
            "s.tsv",
            'item_id\ttitle\n1\t"""A"" and b"\n2\t"c"\n3\td\n',
            ['"A" and b', '"c"', "d"],
            "1 value of title stood between",
        ),
        (
            "s.tsv",
            'item_id\ttitle\n1\t"A, the"\n2\tb\n3\t"C, ""d"""\n',
            ["A, the", "b", 'C, "d"'],
            "2 values of title stood",
        ),
        ("s.tsv", 'item_id\ttitle\n1\t"A, the"\n2\tb, c\n3\td\n', ['"A, the"', "b, c", "d"], ""),
        ("s.tsv", 'item_id\ttitle\n1\t"A" or "b"\n2\t""\n', ['"A" or "b"', '""'], ""),
        ("s.csv", 'item_id, title\n1, "A b"\n2, c "d"\n', ["A b", ' c "d"'], "1 value of title stood between"),
        ("s.csv", 'item_id,title\n1,"A, ""b"""\n2,c\n', ['A, "b"', "c"], ""),
        ("s.csv", "sep=;\r\nitem_id;title\r\n1;A,b\r\n2;c\r\n", ["A,b", "c"], "';' separates"),
    ],
)
def test_marks_around_titles_are_quoting_where_they_are_meant_so(
    read_files: Callable, name: str, items: str, titles: list[str], note: str
) -> None:
    raw = read_files("table", {"i.csv": LOG, name: items}, {"interactions": "i.csv", "items": name})
    assert raw.items["title"].tolist() == titles
    assert [text for text in raw.notes if note in text] if note else not raw.notes, raw.notes


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", "::"])
@pytest.mark.parametrize("header", ["item_id{}title{}year", 'item_id{}"title"{}year'])
def test_values_that_are_all_quoted_lose_their_marks_whatever_separates_them(
    read_files: Callable, separator: str, header: str
) -> None:
    rows = [header.format(separator, separator), *('"{}"|"A, ""b"" {}"|"199{}"'.format(*[n] * 3) for n in (1, 2))]
    text = "\n".join(
        [rows[0], *(row.replace('"|"', f'"{separator}"') for row in rows[1:]), f'"3"{separator}{separator}']
    )
    log = LOG if separator == "," else LOG.replace(",", separator)
    name = {",": "s.csv", "\t": "s.tsv"}.get(separator, "s.txt")
    raw = read_files("table", {"i.csv": log, name: text}, {"interactions": "i.csv", "items": name})
    assert raw.items["item"].tolist() == ["1", "2", "3"]
    assert raw.items["title"].tolist()[:2] == ['A, "b" 1', 'A, "b" 2']
    assert raw.items["year"].tolist()[:2] == [1991, 1992]


def test_marks_around_most_values_are_kept_and_said(read_files: Callable) -> None:
    files = {"i.csv": LOG, "s.tsv": 'item_id\ttitle\n1\t"A"\n2\t"B"\n3\tC\n'}
    raw = read_files("table", files, {"interactions": "i.csv", "items": "s.tsv"})
    assert raw.items["title"].tolist() == ['"A"', '"B"', "C"]
    assert raw.notes == (
        "s.tsv: 2 values of title stood between quotation marks (not around all of them): kept; "
        "source.table.quoting: csv removes them",
    )


@pytest.mark.parametrize(
    ("start", "what", "remedy"),
    [
        (b"PK\x03\x04", "an archive or a workbook", "save the sheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "an old workbook", "save the sheet"),
        (b"PAR1\0\0", "Parquet", "end in .parquet"),
        (b"SQLite format 3\0", "a database", "export the table"),
        (b"\x80\x04\x95\0\0", "a pickle", "trust"),
        (b"\xef\xbb\xbf\n <!DOCTYPE HTML><html>", "a web page", "a login"),
    ],
)
@pytest.mark.parametrize("name", ["i.csv", "i.jsonl"])
def test_what_is_no_table_whatever_its_name_is_named_as_what_it_is(
    read_files: Callable, name: str, start: bytes, what: str, remedy: str
) -> None:
    with pytest.raises(DataError, match=f"(?s)the file is {what}.*{name}.*{remedy}"):
        read_files("table", {name: start}, {"interactions": name})


@pytest.mark.parametrize(
    ("name", "remedy"), [("i.zip", "unpack it"), ("i.csv.zip", "unpack it"), ("i.XLSX", "sheet"), ("i.orc", "Parquet")]
)
def test_files_of_other_kinds_are_refused_with_what_makes_them_one(
    read_files: Callable, name: str, remedy: str
) -> None:
    with pytest.raises(DataError, match=f"(?s)are not read.*{remedy}.*use one of .csv"):
        read_files("table", {name: b"x"}, {"interactions": name})


def test_a_folder_in_place_of_a_file_is_named_as_one(tmp_path: Path, options: Callable) -> None:
    (tmp_path / "i.parquet").mkdir()
    with pytest.raises(DataError, match=r"(?s)a folder stands where a file is expected.*i\.parquet.*Spark"):
        read(options("table", {"interactions": "i.parquet"}), tmp_path)


def test_ids_that_a_spreadsheet_rounded_are_said(read_files: Callable) -> None:
    log = "user_id,item_id\n1.23457E+17,1e5\n1.23457E+17,1E+05\nu,9\n"
    notes = read_files("table", {"i.csv": log}, {"interactions": "i.csv"}).notes
    assert [note for note in notes if "rounded" in note] == [
        "i.csv: 2 values of user_id are rounded, e.g. 1.23457E+17, as spreadsheets save long numbers: several ids may "
        "have become one; export the column as text"
    ]


def test_a_mark_of_utf_8_counts_more_than_the_encoding_that_is_named(tmp_path: Path, read_files: Callable) -> None:
    """Of files that somebody saved anew: the first id would have three more letters."""
    table = {
        "interactions": "i.csv",
        "items": "s.csv",
        "encoding": "latin-1",
        "columns": {"s.csv": ["item_id", "title"]},
    }
    raw = read_files("table", {"i.csv": LOG, "s.csv": b"\xef\xbb\xbf1,caf\xc3\xa9\n2,b\n"}, table)
    assert raw.items.to_numpy().tolist() == [["1", "caf\u00e9"], ["2", "b"]]
    assert next(blocks(tmp_path / "s.csv", "latin-1")).data == "1,caf\u00e9\n2,b\n".encode()


def test_control_characters_of_latin_1_are_letters_of_windows(read_files: Callable) -> None:
    files = {"i.csv": LOG, "s.csv": "item_id,title\n1,caf\u00e9\n2,Rock \u2019n\u2019 roll\n".encode("cp1252")}
    table = {"interactions": "i.csv", "items": "s.csv"}
    notes = read_files("table", files, table | {"encoding": "latin-1"}).notes
    assert any("control characters in latin-1, the first in line 3" in note and "cp1252" in note for note in notes)
    raw = read_files("table", files, table | {"encoding": "cp1252"})
    assert (raw.notes, raw.items["title"].tolist()) == ((), ["caf\u00e9", "Rock \u2019n\u2019 roll"])


def test_a_map_of_parquet_is_an_object_by_its_keys(read_files: Callable) -> None:
    about = pa.array([[("brand", "B"), ("size", "3")], [("brand", "C")]], pa.map_(pa.string(), pa.string()))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"item_id": ["1", "2"], "about": about}), sink)
    files = {"i.csv": LOG, "s.parquet": sink.getvalue().to_pybytes()}
    table = {"interactions": "i.csv", "items": "s.parquet", "rename": {"about.brand": "brand", "about.size": "size"}}
    items = read_files("table", files, table).items
    assert items["brand"].tolist() == ["B", "C"]
    assert items["size"].fillna("").astype(str).tolist() in (["3", ""], ["3.0", ""])


@pytest.mark.parametrize("separator", [",", "\t", ";", "::"])
@pytest.mark.parametrize("quoting", ["auto", "csv", "escaped"])
def test_apostrophes_are_quoting_where_that_is_named(read_files: Callable, separator: str, quoting: str) -> None:
    inner = "\\'" if quoting == "escaped" else "''"
    log = [("user_id", "item_id"), ("'u,1'", "'01'"), ("u", "'02'")]
    items = [("item_id", "title"), ("'01'", f"'A, the{inner}s'"), ("02", '"b" c'), ("03", "''")]
    files = {
        name: "\n".join(separator.join(row) for row in rows) for name, rows in {"i.csv": log, "s.csv": items}.items()
    }
    table = {"interactions": "i.csv", "items": "s.csv", "quote": "'", "quoting": quoting, "separator": separator}
    raw = read_files("table", files, table)
    assert raw.interactions[["user", "item"]].to_numpy().tolist() == [["u,1", "01"], ["u", "02"]]
    assert raw.items["item"].tolist() == ["01", "02", "03"]
    assert raw.items["title"].fillna("").tolist() == ["A, the's", '"b" c', ""]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_header_between_apostrophes_shows_that_they_are_quoting(read_files: Callable, separator: str) -> None:
    rows = [("'item_id'", "'title'"), ("'1'", "'Rock ''n'' roll'"), ("'2'", "''")]
    files = {"i.csv": LOG, "s.txt": "\n".join(separator.join(row) for row in rows)}
    raw = read_files("table", files, {"interactions": "i.csv", "items": "s.txt"})
    assert raw.items["item"].tolist() == ["1", "2"]
    assert raw.items["title"].fillna("").tolist() == ["Rock 'n' roll", ""]


def test_apostrophes_that_nobody_named_stay_and_are_said(read_files: Callable) -> None:
    table = {"interactions": "i.csv", "items": "s.csv"}
    raw = read_files("table", {"i.csv": LOG, "s.csv": "item_id,title,year\n1,'A',1\n2,'B',\n3,,2\n"}, table)
    assert raw.items["title"].fillna("").tolist() == ["'A'", "'B'", ""]
    assert raw.notes == (
        's.csv: all values of title stand between apostrophes: kept; source.table.quote: "\'" removes them',
    )
    raw = read_files("table", {"s.csv": "item_id,title\n1,'Til we meet\n2,Rock 'n' roll'\n"}, table)
    assert raw.items["title"].tolist() == ["'Til we meet", "Rock 'n' roll'"]
    assert not raw.notes
    with pytest.raises(DataError, match=r"(?s)expected 2 fields.*data row 1.*source\.table\.quote"):
        read_files("table", {"s.csv": "item_id,title\n1,'A, b'\n"}, table)
    with pytest.raises(DataError, match=r"(?s)an apostrophe opens a field that nothing closes.*s\.csv:2"):
        read_files("table", {"s.csv": "item_id,title\n1,'Til we\n"}, table | {"quote": "'"})


@pytest.mark.parametrize(
    ("name", "items", "message"),
    [
        ("s.csv", 'item_id, title\n1, "A, b"\n', r"expected 2 fields.*data row 1.*no blank before the quotation mark"),
        ("s.tsv", 'item_id\ttitle\n1\t"A\tb"\n', r"expected 2 fields.*data row 1.*source\.table\.quoting: csv"),
        ("s.csv", "item_id,title,price\n1,a,3\n2,b,4\n1,a,5\n", r"item '1' has more than one row.*price: '3' and '5'"),
        ("s.json", '{"data": [{"item_id": 1, "title": "a"}]}', r"one object with the keys data.*inside this one"),
        ("s.json", '{"item_id": {"0": 1}, "title": {"0": "a"}}', r"one object with the keys.*orient='records'"),
        ("s.csv", "item_id,title\n".encode("utf-32"), r"begins as UTF-32.*encoding: utf-32"),
    ],
)
def test_a_bad_table_of_items_is_named(read_files: Callable, name: str, items: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_files("table", {"i.csv": LOG, name: items}, {"interactions": "i.csv", "items": name})


def test_what_programs_write_for_nothing_is_no_title_and_no_quiet_user(read_files: Callable) -> None:
    files = {
        "i.csv": LOG + "NULL,1\nNULL,2\n",
        "s.csv": "item_id,title\n1,nan\n2,nan\n3,None\n4,NULL and void\n",
    }
    raw = read_files("table", files, {"interactions": "i.csv", "items": "s.csv"})
    side = raw.side("item", np.array(["1"]))
    titles = [None if pd.isna(title) else title for title in side.frame["title"]]
    assert titles == [None, None, "None", "NULL and void"]  # one alone may be called so
    assert raw.interactions["user"].tolist()[-2:] == ["NULL", "NULL"]
    assert any("2 values of user_id read 'NULL'" in note and "data row 4" in note for note in raw.notes)
    assert side.notes == ("s.csv: 2 values of title read 'nan' or the like: missing",)


def test_a_log_may_describe_its_items_itself(read_files: Callable) -> None:
    log = "user_id,item_id,when,title,price\nu,1,10,A,3\nu,2,20,,4\nv,1,30,A,5\n"
    table = {"interactions": "i.csv", "items": "i.csv", "timestamp": "when"}
    raw = read_files("table", {"i.csv": log}, table)
    assert raw.items["title"].fillna("").tolist() == ["A", ""]
    assert (list(raw.items), raw.items["price"].tolist()) == (["item", "title", "price"], [3, 4])
    assert [note for note in raw.notes if "several values" in note] == [
        "i.csv: 1 of 2 items have several values of price: the first counts"
    ]
    without = read_files("table", {"i.csv": log}, table | {"items": None})
    assert "i.csv: columns that source.table does not name are left out: title, price" in without.notes


def test_pictures_in_a_table_are_left_out(read_files: Callable) -> None:
    items = pd.DataFrame({"item_id": ["1", "2"], "cover": [b"\xff\xd8", b"\xff"], "title": [b"A", "\u00e9".encode()]})
    files = {"i.csv": LOG, "s.parquet": as_bytes(items, "parquet")}
    raw = read_files("table", files, {"interactions": "i.csv", "items": "s.parquet"})
    assert (list(raw.items), raw.items["title"].tolist()) == (["item", "title"], ["A", "\u00e9"])
    assert any("no text left out: cover" in note for note in raw.notes)


def test_a_file_is_no_folder(tmp_path: Path, options: Callable) -> None:
    (tmp_path / "i.csv").write_text(LOG)
    with pytest.raises(DataError, match=r"(?s)names a file.*table\.interactions: i\.csv"):
        read(options("table", {"interactions": "x.csv"}), tmp_path / "i.csv")


def test_failed_formulas_of_spreadsheets_are_missing_even_where_one_stands_alone(read_files: Callable) -> None:
    files = {
        "i.csv": "user_id,item_id,rating\nu,1,#N/A\nv,2,3\n#NAME?,1,4\n",
        "s.csv": "item_id,title,brand\n1,#N/A,#REF!\n2,#1 Crush,Reef\n",
    }
    raw = read_files("table", files, {"interactions": "i.csv", "items": "s.csv", "rating": "rating"})
    items = raw.side("item", np.array(["1", "2"])).frame
    assert items["title"].isna().tolist() == items["brand"].isna().tolist() == [True, False]
    assert raw.interactions["rating"].isna().tolist() == [True, False, False]
    assert any("user_id reads '#NAME?'" in note and "data row 3" in note for note in raw.notes)


def test_a_file_of_which_no_row_is_separated_is_told_to_name_what_separates_it(read_files: Callable) -> None:
    columns = {"clicks.dat": ("user_id", "item_id", "category")}
    with pytest.raises(DataError, match="found 1") as refused:
        read_files("table", {"clicks.dat": "1,214536502,0\n"}, {"interactions": "clicks.dat", "columns": columns})
    assert "something else separates the fields, name it in source.table.separator" in str(refused.value.remedy)
