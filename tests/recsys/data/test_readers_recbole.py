"""RecBole's atomic files: types, MovieLens' column names, and bad headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from augrec.artefacts.errors import DataError

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


def test_likes_and_their_contrary_are_ratings_and_columns_that_are_left_out_are_said(read_files: Callable) -> None:
    inter = "user_id:token\titem_id:token\tlabel:float\tweight:float\nu\ta\t1\t2\nu\tb\t0\t2\n"
    raw = read_files("recbole", {"x.inter": inter})
    assert raw.interactions["rating"].tolist() == [1.0, 0.0]
    assert raw.notes == (
        "x.inter: label is read as the rating; dataset.min_rating: 1 leaves out what has label 0",
        "x.inter: columns that are not known are left out: weight",
    )
    raw = read_files("recbole", {"x.inter": inter.replace("weight:float", "rating:float")})
    assert raw.interactions["rating"].tolist() == [2.0, 2.0]
    assert raw.notes == ("x.inter: columns that are not known are left out: label",)


def test_the_year_of_a_title_is_kept_where_there_is_no_column_of_years(read_files: Callable) -> None:
    item = "item_id:token\ttitle:token\ni1\tManual, The (1999)\ni2\tManual\n"
    items = read_files("recbole", {"x.inter": INTER, "x.item": item}).items
    assert items["title"].tolist() == ["The Manual", "Manual"]
    assert items["year"].tolist() == [1999, pd.NA]


@pytest.mark.parametrize(
    ("ages", "read"), [("70000 3", ["70000", "3"]), ("inf 3", ["inf", "3"]), ("2.5 3", ["2.5", "3"])]
)
def test_an_age_that_is_no_whole_number_of_years_stays_what_it_is(
    read_files: Callable, ages: str, read: list[str]
) -> None:
    rows = "".join(f"u{place}\t{age}\n" for place, age in enumerate(ages.split(), start=1))
    raw = read_files("recbole", {"x.inter": INTER, "x.user": f"user_id:token\tage:token\n{rows}"})
    assert raw.users["age"].tolist() == read


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


AMAZON = (
    "item_id:token\ttitle:token\tsales_rank:float\tcategories:token_seq\tprice:float\tbrand:token\n"
    'i1\t"Kelp ""Velvet"" Mask, 0 oz"\t\t\'Skin Care\', \'Beauty\'\t—\t\n'
    'i2\t"Dune" again\t7.0\t"""Children\'s Beauty"", \'Bath & Body\'"\t9.99\tReef\n'
    "i3\t\t3\t\t\tReef\n"
)
YELP = (
    "user_id:token\tbusiness_id:token\tstars:float\tuseful:float\tdate:token\n"
    "u1\ti1\t4.0\t\t2012-01-01 10:00:00\nu2\ti2\t5.0\t1\t2012-01-02 10:00:00\n"
)
STEAM = (
    "app_name:token\tgenres:token_seq\titem_id:token\tmetascore:float\ttitle:token\n"
    "old\tAction, Free to Play, Indie\ti1\t\tKraken\nother\tIndie\ti2\t77\tSquid\n"
)


def test_empty_floats_and_dashes_are_missing_and_dashes_are_counted(read_files: Callable) -> None:
    raw = read_files("recbole", {"x.inter": INTER, "x.item": AMAZON})
    assert raw.items["price"].isna().tolist() == [True, False, True]
    assert raw.items["sales_rank"].isna().tolist() == [True, False, False]
    assert raw.notes == ("x.item: 1 of 3 values of price are a dash or the like: missing",)


def test_fields_with_doubled_marks_are_unquoted_and_others_kept(read_files: Callable) -> None:
    raw = read_files("recbole", {"x.inter": INTER, "x.item": AMAZON})
    assert raw.items["title"].tolist()[:2] == ['Kelp "Velvet" Mask, 0 oz', '"Dune" again']
    assert raw.items["title"].isna().tolist() == [False, False, True]


def test_sequences_are_lists_of_python_or_separated_by_commas(read_files: Callable) -> None:
    raw = read_files("recbole", {"x.inter": INTER, "x.item": AMAZON})
    assert raw.items["genres"].tolist() == [["Skin Care", "Beauty"], ["Children's Beauty", "Bath & Body"], []]
    raw = read_files("recbole", {"x.inter": INTER, "x.item": STEAM})
    assert raw.items["genres"].tolist() == [["Action", "Free to Play", "Indie"], ["Indie"]]
    assert raw.items["title"].tolist() == ["Kraken", "Squid"]


def test_columns_have_the_names_recbole_gives_them(read_files: Callable) -> None:
    raw = read_files("recbole", {"yelp-2018.inter": YELP, "yelp-2018.item": STEAM.replace("item_id", "business_id")})
    assert raw.interactions.to_numpy().tolist() == [["u1", "i1", 4.0, 1325412000], ["u2", "i2", 5.0, 1325498400]]
    assert sorted(raw.files) == ["yelp-2018.inter", "yelp-2018.item"]


@pytest.mark.parametrize(
    ("inter", "item"),
    [
        ("visitor_id:token\titem_id:token\ttimestamp:float", None),
        ("anonymous_user_id:token\tartist_id:token\ttimestamp:float", "id:token\tname:token\tgenre:token_seq"),
        ("customer_id:token\tproduct_id:token\ttransaction_date:float", "id:token\ttitle:token\tgenres:token_seq"),
        ("user_id:token\ttracks_id:token\ttimestamp:float", "tracks_id:token\tname:token_seq\tclass:token_seq"),
        ("user_id:token\tvenue_id:token\ttimestamp:str", None),
        ("user_id:token\titem_id:token\ttimestamp:float", "item_id:token\tmovie_name:token_seq\ttype:token_seq"),
    ],
)
def test_columns_have_the_names_that_its_conversion_tools_give_them(
    read_files: Callable, inter: str, item: str | None
) -> None:
    """Of Retailrocket, Yahoo, Ta Feng, LFM-1b, Foursquare and MovieLens-10M; github.com/RUCAIBox/RecSysDatasets."""
    files = {"x.inter": f"{inter}\nu\ta\t86400\n"} | ({"x.item": f"{item}\na\tBlue\tAction War\n"} if item else {})
    raw = read_files("recbole", files)
    assert raw.interactions.to_numpy().tolist() == [["u", "a", 86400]]
    assert [note for note in raw.notes if "RecBole does not know" in note] == (
        ["x.inter: types that RecBole does not know are read as token: timestamp"] if ":str" in inter else []
    )
    if item:
        assert raw.items[["item", "title", "genres"]].to_numpy().tolist() == [["a", "Blue", ["Action", "War"]]]


@pytest.mark.parametrize(
    ("fields", "expected", "sign"),
    [
        (["Drama|War", "Sci Fi", ""], [["Drama", "War"], ["Sci Fi"], []], "'|'"),
        (["Drama,Sci Fi", "War", "War,Noir"], [["Drama", "Sci Fi"], ["War"], ["War", "Noir"]], "','"),
        (["Drama War", "Rock|Pop Noir", "A B"], [["Drama", "War"], ["Rock|Pop", "Noir"], ["A", "B"]], ""),
        (["['Drama' 'War']", "['Noir']", "[]"], [["Drama", "War"], ["Noir"], []], ""),
    ],
)
def test_genres_are_told_apart_whatever_separates_them(
    read_files: Callable, fields: list[str], expected: list[list[str]], sign: str
) -> None:
    item = "item_id:token\tgenre:token_seq\n" + "".join(f"i{place}\t{text}\n" for place, text in enumerate(fields))
    raw = read_files("recbole", {"x.inter": INTER, "x.item": item})
    assert raw.items["genres"].tolist() == expected
    said = [f"x.item: values of genre are separated by {sign}, where RecBole has blanks"] if sign else []
    assert [note for note in raw.notes if "separated" in note] == said


def test_columns_that_would_have_one_name_are_told_apart(read_files: Callable) -> None:
    item = "item_id:token\ttitle:token\tmovie_title:token_seq\tyear:token\trelease_year:token\ni1\ta\tA\tb\t1999\n"
    raw = read_files("recbole", {"x.inter": INTER, "x.item": item})
    assert raw.items.to_numpy().tolist() == [["i1", "A", 1999]]
    assert raw.notes == (
        "x.item: movie_title is read as title, and the column title is left out",
        "x.item: release_year is read as year, and the column year is left out",
    )
    for name in ("item", "source_id"):
        item = f"item_id:token\t{name}:token\ni1\tz\n"
        with pytest.raises(DataError, match=rf"(?s)the column {name} has a name Augrec uses.*x\.item:1.*rename it"):
            read_files("recbole", {"x.inter": INTER, "x.item": item})


def test_a_set_of_no_categories_is_none(read_files: Callable) -> None:
    item = "item_id:token\tcategories:token_seq\ni1\t'A', 'B'\ni2\tet(\n"
    assert read_files("recbole", {"x.inter": INTER, "x.item": item}).items["genres"].tolist() == [["A", "B"], []]


def test_columns_that_nobody_reads_may_hold_anything(read_files: Callable) -> None:
    inter = "user_id:token\titem_id:token\tplay_hours:float\nu1\ti1\tmany\nu2\ti1\t\n"
    assert len(read_files("recbole", {"x.inter": inter}).interactions) == 2


def test_which_of_several_columns_is_read_is_said(read_files: Callable) -> None:
    inter = "user_id:token\titem_id:token\tdate:token\ttimestamp:float\nu1\ti1\tyesterday\t5\n"
    notes = read_files("recbole", {"x.inter": inter}).notes
    assert "x.inter: timestamp is read; date could be meant too" in notes


def test_a_float_that_is_text_is_named(read_files: Callable) -> None:
    with pytest.raises(DataError, match=r"(?s)price is 'from 14\.99', expected a number.*x\.item:2"):
        read_files("recbole", {"x.inter": INTER, "x.item": AMAZON.replace("—", "from 14.99")})


def test_rows_written_twice_are_left_out_and_counted(read_files: Callable) -> None:
    raw = read_files("recbole", {"x.inter": INTER, "x.item": STEAM + STEAM.splitlines()[1]})
    assert raw.items["item"].tolist() == ["i1", "i2"]
    assert "x.item: 1 row repeats another row of the same item: left out" in raw.notes


HEAD = "user_id:token\titem_id:token\n"
PUBLISHED = {
    "x.train.inter": f"{HEAD}u1\ti1\nu2\ti2\nu2\ti3\n",
    "x.valid.inter": f"{HEAD}u1\ti3\n",
    "x.test.inter": f"{HEAD}u2\ti1\nu1\ti2\n",
    "x.item": ITEM,
}


def test_a_published_split_is_a_file_for_each_part(read_files: Callable) -> None:
    raw = read_files("recbole", PUBLISHED)
    assert raw.interactions["split"].tolist() == [0, 0, 0, 1, 2, 2]
    assert raw.interactions["item"].tolist() == ["i1", "i2", "i3", "i3", "i1", "i2"]
    assert raw.items["title"].tolist() == ["The Matrix", 'Véronique "A"']
    assert set(raw.files) == set(PUBLISHED)
    assert "dataset.split.kind: given keeps" in raw.notes[-1]


def test_a_published_split_is_kept_or_divided_anew(prepared: Callable) -> None:
    files = {name: text.encode() for name, text in PUBLISHED.items() if name != "x.item"}
    dataset, _ = prepared("recbole", files, split={"kind": "given"})
    parts = [dataset.pairs(split).tolist() for split in ("train", "valid", "test")]
    assert parts == [[[0, 0], [1, 1], [1, 2]], [[0, 2]], [[0, 1], [1, 0]]]
    again, _ = prepared("recbole", files, split={"kind": "random", "ratios": [1, 1, 1]})
    assert sum(len(again.pairs(split)) for split in ("train", "valid", "test")) == 6


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"x.train.inter": HEAD, "y.test.inter": HEAD}, r"x\.train\.inter, y\.test\.inter.*NAME\.train\.inter"),
        ({"x.part1.inter": HEAD, "x.part2.inter": HEAD}, r"2 \.inter files.*NAME\.valid\.inter"),
        ({"x.train.inter": HEAD, "x.valid.inter": HEAD}, r"2 \.inter files"),
        ({**PUBLISHED, "x.test.inter": INTER}, r"holds user, item, rating, timestamp.*x\.test\.inter"),
    ],
)
def test_files_that_are_no_published_split_are_refused(read_files: Callable, files: dict, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_files("recbole", files)
