"""RecBole's atomic files: types, MovieLens' column names, and bad headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from artefacts.errors import DataError

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu1\ti1\t3.5\t881250949\nu2\ti2\t5\t8.91717742E8\n"
ITEM = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tprice:float\tvector:float_seq\n"
    "i1\tMatrix, The\t1999\tAction Sci-Fi\t9.5\t0.5 1\n"
    'i2\tVéronique "A" (1991)\tV\t\t1\t\n'
)
USER = "user_id:token\tage:token\tgender:token\toccupation:token\nu1\t24\tM\ttechnician\nu2\t53\tF\tother\n"


def test_types_and_movielens_columns(read_files: Callable) -> None:
    raw = read_files("recbole", {"x.inter": INTER, "x.item": ITEM, "x.user": USER})
    assert raw.interactions.to_numpy().tolist() == [["u1", "i1", 3.5, 881250949], ["u2", "i2", 5.0, 891717742]]
    assert raw.items["title"].tolist() == ["The Matrix", 'Véronique "A"']
    assert raw.items["year"].tolist() == [1999, 1991]  # the second from the title, its year column holds no year
    assert raw.items["genres"].tolist() == [["Action", "Sci-Fi"], []]
    assert raw.items["price"].tolist() == [9.5, 1.0]
    assert raw.items["vector"].tolist() == [[0.5, 1.0], []]
    assert raw.users["age"].tolist() == [24, 53]
    assert sorted(raw.files) == ["x.inter", "x.item", "x.user"]


def test_interactions_alone_are_enough(read_files: Callable) -> None:
    raw = read_files("recbole", {"x.inter": "user_id:token\titem_id:token\na\tb\n"})
    assert list(raw.interactions) == ["user", "item"]
    assert raw.items.empty
    assert raw.users.empty


def test_a_year_that_is_none_is_missing(read_files: Callable) -> None:
    item = "item_id:token\trelease_year:token\ni1\tunkonwn\ni2\t2001\n"
    years = read_files("recbole", {"x.inter": INTER, "x.item": item}).items["year"]
    assert years[0] is pd.NA
    assert years[1] == 2001


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"x.item": ITEM}, r"no \.inter file.*recbole/dataset_example/ml-100k"),
        ({"x.inter": INTER, "y.inter": INTER}, r"2 \.inter files"),
        ({"x.inter": INTER.replace("\t", ",")}, r"x\.inter:1.*tabs"),
        ({"x.inter": INTER.replace(":token", "")}, r"columns without a known type"),
        ({"x.inter": INTER.replace("item_id", "movie")}, r"no column item_id.*x\.inter:1"),
        ({"x.inter": INTER.replace("3.5", "3,5")}, r"rating is '3,5'.*x\.inter:2"),
        ({"x.inter": INTER + "u3\ti1\n"}, r"found 2.*x\.inter:4"),
        ({"x.inter": "\n"}, r"empty"),
        ({"x.inter": INTER, "x.item": ITEM.replace("0.5 1", "0.5 x")}, r"vector is '0.5 x'.*x\.item:2"),
        ({"x.inter": INTER, "x.user": USER + "u1\t1\tM\tother\n"}, r"user 'u1' has more than one row.*x\.user"),
    ],
)
def test_a_bad_file_is_named(read_files: Callable, files: dict, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_files("recbole", files)


def test_a_missing_folder_is_named(read_files: Callable, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)no \.inter file.*" + tmp_path.name):
        read_files("recbole", {})
