"""MovieLens' own layouts, in small, with their encodings; and what a wrong file is told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from recsys.data.readers import text
from recsys.data.readers.blocks import blocks

FLAGS = {"none": "1" + "|0" * 18, "Animation Comedy": "|".join("1" if i in (3, 5) else "0" for i in range(19))}
ML100K = {
    "u.data": "196\t242\t3\t881250949\n186\t302\t5\t891717742\n",
    "u.item": (
        f"242|Kolya (1996)|24-Jan-1997||http://x|{FLAGS['none']}\n"
        f"302|Misérables, Les (1995)|01-Jan-1995||http://y|{FLAGS['Animation Comedy']}\n"
    ).encode("latin-1"),
    "u.user": "196|49|M|writer|55105\n186|39|F|executive|00000\n",
}
ML1M = {
    "ratings.dat": "1::1193::5::978300760\n2::661::3::978302109\n",
    "movies.dat": "1193::Été, L' (1975)::Drama\n661::Mission: Impossible (1996)::Action|Children's\n".encode("latin-1"),
    "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
}
ML10M = {
    "ratings.dat": "1::122::4.5::838985046\n",
    "movies.dat": "122::Amélie, or: “Le fabuleux” (2001)::Comedy|Romance\n",
}
LATEST = {
    "ratings.csv": "userId,movieId,rating,timestamp\r\n1,1,4.0,964982703\r\n1,11,0.5,964981247\r\n",
    "movies.csv": (
        "movieId,title,genres\r\n1,Toy Story (1995),Adventure|Animation\r\n"
        '11,"American President, The (1995)",Comedy\r\n'
        '12,"Dracula: ""Dead"", and Loving It (1995)",(no genres listed)\r\n'
    ),
}


def test_100k(read_files: Callable) -> None:
    raw = read_files("ml-100k", ML100K)
    assert raw.interactions["user"].tolist() == ["196", "186"]
    assert raw.interactions["rating"].dtype == np.float32
    assert raw.interactions["timestamp"].tolist() == [881250949, 891717742]
    assert raw.items["title"].tolist() == ["Kolya", "Les Misérables"]
    assert raw.items["year"].tolist() == [1996, 1995]
    assert raw.items["genres"].tolist() == [["unknown"], ["Animation", "Comedy"]]
    assert raw.users[["age", "gender", "occupation"]].to_numpy().tolist() == [
        [49, "M", "writer"],
        [39, "F", "executive"],
    ]
    assert set(raw.files) == set(ML100K)


@pytest.mark.parametrize(
    ("layout", "files", "names"),
    [
        ("ml-100k", ML100K, ["u.data", "u.item", "u.user"]),
        ("ml-1m", ML1M, ["ratings.dat", "movies.dat", "users.dat"]),
        ("ml-10m", ML10M, ["ratings.dat", "movies.dat"]),
        ("ml-latest", LATEST, ["ratings.csv", "movies.csv"]),
    ],
)
def test_errors_can_name_the_files(read_files: Callable, layout: str, files: dict, names: list[str]) -> None:
    tables = read_files(layout, files).tables
    assert [path.name for path in tables.values()] == names
    assert list(tables) == ["interactions", "items", "users"][: len(names)]


def test_1m_writes_codes_out(read_files: Callable) -> None:
    raw = read_files("ml-1m", ML1M)
    assert raw.items["title"].tolist() == ["L'Été", "Mission: Impossible"]
    assert raw.items["genres"].tolist() == [["Drama"], ["Action", "Children's"]]
    assert raw.users["age"].tolist() == ["under 18", "56 or older"]
    assert raw.users["occupation"].tolist() == ["K-12 student", "self-employed"]


@pytest.mark.parametrize(("layout", "files"), [("ml-100k", ML100K), ("ml-1m", ML1M)])
def test_films_that_were_saved_anew_as_utf_8_keep_their_accents(read_files: Callable, layout: str, files: dict) -> None:
    anew = {name: raw.decode("latin-1") if isinstance(raw, bytes) else raw for name, raw in files.items()}
    titles = read_files(layout, files).items["title"].tolist()
    assert read_files(layout, anew).items["title"].tolist() == titles
    assert any("é" in title for title in titles)


def test_10m_is_utf8_with_half_stars_and_no_users(read_files: Callable) -> None:
    raw = read_files("ml-10m", ML10M)
    assert raw.items["title"].tolist() == ["Amélie, or: “Le fabuleux”"]
    assert raw.interactions["rating"].tolist() == [4.5]
    assert raw.users.empty


def test_latest_reads_quoted_titles(read_files: Callable) -> None:
    raw = read_files("ml-latest", LATEST)
    assert raw.items["title"].tolist() == ["Toy Story", "The American President", 'Dracula: "Dead", and Loving It']
    assert raw.items["year"].tolist() == [1995, 1995, 1995]
    assert raw.interactions["rating"].tolist() == [4.0, 0.5]


def test_tags_of_several_people_are_kept_the_most_used_first(read_files: Callable) -> None:
    tags = [(1, 1, "Pixar"), (2, 1, "pixar "), (3, 1, "PIXAR"), (1, 1, "fun"), (2, 1, "fun"), (2, 1, "fun")]
    tags += [(4, 1, "toys"), (1, 12, "dark, dead"), (2, 12, "dark, dead")]
    tags += [(user, 12, f"t{n:02d}") for user in (5, 6) for n in range(12)]
    lines = "".join(f'{user},{item},"{tag}",1{n}\n' for n, (user, item, tag) in enumerate(tags))
    raw = read_files("ml-32m", LATEST | {"tags.csv": "userId,movieId,tag,timestamp\n" + lines})
    dark = ["dark, dead", *(f"t{n:02d}" for n in range(9))]
    assert raw.items["tags"].tolist() == [["pixar", "fun"], [], dark]
    assert "tags.csv" in raw.files


def test_a_file_of_many_blocks_is_read_as_one_of_one_block(
    read_files: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    rows = [(rng.integers(1, 50), rng.integers(1, 90), rng.integers(1, 11) / 2, 10**9 + n) for n in range(3000)]
    lines = ["userId,movieId,rating,timestamp", *(f"{u},{i},{rating},{time}" for u, i, rating, time in rows)]
    whole = read_files("ml-25m", LATEST | {"ratings.csv": "\n".join(lines)}).interactions
    monkeypatch.setattr(text, "blocks", partial(blocks, size=1000))
    parts = read_files("ml-25m", LATEST | {"ratings.csv": "\n".join(lines)}).interactions
    assert parts.equals(whole)
    assert whole["item"].astype(int).tolist() == [item for _, item, _, _ in rows]
    lines[2500] = "1,2,x,4"
    with pytest.raises(DataError, match=r"(?s)rating is 'x'.*ratings\.csv:2501"):
        read_files("ml-25m", LATEST | {"ratings.csv": "\n".join(lines)})
    lines[2500] = "1,2,3"
    with pytest.raises(DataError, match=r"(?s)found 3.*ratings\.csv:2501"):
        read_files("ml-25m", LATEST | {"ratings.csv": "\n".join(lines)})


@pytest.mark.parametrize(
    ("layout", "files", "name", "content", "message"),
    [
        ("ml-100k", ML100K, "u.data", "196,242,3,881250949\n", r"separated by '\\t'.*u\.data:1"),
        ("ml-100k", ML100K, "u.data", "1\t2\t3\t4\n1\t2\t3\n", r"found 3.*u\.data:2"),
        ("ml-100k", ML100K, "u.data", "1\t2\tgood\t4\n", r"rating is 'good', expected a number.*u\.data:1"),
        ("ml-100k", ML100K, "u.data", "1\t2\t3\t4\nbob\t2\t3\t4\n", r"user is 'bob', expected a whole.*u\.data:2"),
        ("ml-100k", ML100K, "u.data", "1\t2\tnan\t4\n", r"rating is 'nan'"),
        ("ml-100k", ML100K, "u.data", "1\t2\t3\t881250949000\n", r"not seconds since 1970"),
        ("ml-100k", ML100K, "u.data", "", r"empty.*u\.data"),
        ("ml-100k", ML100K, "u.data", "1\t2\t3\t4\n\n1\t3\t3\t4\n", r"found 1.*u\.data:2"),
        ("ml-1m", ML1M, "users.dat", "1::F::7::10::48067\n", r"age code 7.*users\.dat:1"),
        ("ml-1m", ML1M, "movies.dat", "5::A::x\n5::B::y\n", r"item '5' has more than one row.*movies\.dat"),
        ("ml-10m", ML10M, "movies.dat", b"122::Am\xe9lie (2001)::Comedy\n", r"not utf-8.*movies\.dat"),
        ("ml-latest", LATEST, "movies.csv", "movieId,title,genres\n1,A, B (1999),Drama\n", r"found 4.*movies\.csv:2"),
        ("ml-latest", LATEST, "ratings.csv", "1,1,4.0,964982703\n", r"first line.*expected 'userId.*ratings\.csv:1"),
        ("ml-latest", LATEST, "ratings.csv", "userId,movieId,rating,timestamp\n", r"header and no rows"),
        ("ml-latest", LATEST, "ratings.csv", "userId,movieId,rating,timestamp\n1,1,x,1\n", r"ratings\.csv:2"),
    ],
)
def test_a_bad_file_is_named_with_its_line(
    read_files: Callable, layout: str, files: dict, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_files(layout, files | {name: content})


def test_missing_files_are_listed_with_where_to_find_them(read_files: Callable) -> None:
    with pytest.raises(DataError) as caught:
        read_files("ml-100k", {"u.data": ML100K["u.data"]})
    assert "u.item, u.user not found" in str(caught.value)
    assert "recbole" in str(caught.value)
    assert "grouplens.org" in str(caught.value)
