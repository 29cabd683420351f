"""Your own tables in every file type, read without the network."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable

import pandas as pd
import pytest

from artefacts.errors import DataError

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
        ("log.csv", "who;what;stars;when\n1;2;3;4\n", r"no column who, what, stars, when; the file has who;what"),
        ("log.csv", "who,what,stars,when\n1,2,good,4\n", r"stars is 'good', expected a number.*data row 1"),
        ("log.csv", "who,what,stars,when\n1,2,3,4\n,2,3,4\n", r"who is .*expected an id.*data row 2"),
        ("log.csv", "who,what,stars,when\n1,2,3,4\n1,2,3,4,5,6\n", r"cannot be read as csv.*log\.csv"),
        ("log.csv", "who,what,stars,when\n1,2,3,1700000000000\n", r"not seconds"),
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
