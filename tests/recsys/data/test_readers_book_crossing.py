"""BookCrossing's three files in small, with the oddities of those that were published."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from augrec.artefacts.errors import DataError

RATINGS = (
    '"User-ID";"ISBN";"Book-Rating"\r\n"276725";"034545104X";"0"\r\n"276726";"0155061224";"5"\r\n'
    '"0276726";"078946697X";"10"\r\n\r\n'
)
URLS = ';"http://i/S.jpg";"http://i/M.jpg";"http://i/L.jpg"'
BOOKS = (
    '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"Image-URL-S";"Image-URL-M";"Image-URL-L"\n'
    f'"034545104X";"Peterman &amp; the \\"Real\\"; J. \\"P.\\"";"M. J. Röse";"2002";"B &quot;X&quot;"{URLS}\n'
    f'"0155061224";"";"Judith \\\\ Rae";"0";"Heinle"{URLS}\n'
    # The marks between title and author are lost, as in three lines of the published file.
    f'"078946697X";"DK Readers: X-Men (Level 4)\\";Michael Teitelbaum";"2000";"DK"{URLS}\n'
)
USERS = (
    '"User-ID";"Location";"Age"\n"276725";"tyler, texas, usa";NULL\n"276726";"cernusco s\\\\"n, milan, italy";"18"\n'
    '"0276726";"n/a, n/a";"244"\n'
)
FILES = {
    "BX-Book-Ratings.csv": RATINGS.encode("latin-1"),
    "BX-Books.csv": BOOKS.encode("latin-1"),
    "BX-Users.csv": USERS.encode("latin-1"),
}


ALIKE = [
    f"{file}: 2 different values of User-ID are alike but for a trailing .0, leading zeros or how Unicode writes "
    "accents, e.g. '276726' and '0276726': taken as different ids"
    for file in ("BX-Book-Ratings.csv", "BX-Users.csv")
]


def test_the_three_files(read_files: Callable) -> None:
    raw = read_files("book-crossing", FILES)
    assert raw.interactions["user"].tolist() == ["276725", "276726", "0276726"]
    assert raw.interactions["item"].tolist() == ["034545104X", "0155061224", "078946697X"]
    assert np.array_equal(raw.interactions["rating"], np.array([np.nan, 5, 10], np.float32), equal_nan=True)
    assert raw.items["title"].tolist() == ['Peterman &amp; the "Real"; J. "P."', "", "DK Readers: X-Men (Level 4)"]
    assert raw.items["author"].tolist() == ["M. J. Röse", "Judith \\ Rae", "Michael Teitelbaum"]
    assert raw.items["year"].tolist() == [2002, pd.NA, 2000]
    assert raw.items["publisher"].tolist() == ["B &quot;X&quot;", "Heinle", "DK"]
    assert raw.users["location"].tolist() == ["tyler, texas, usa", 'cernusco s\\"n, milan, italy', "n/a, n/a"]
    assert raw.users["age"].tolist() == [pd.NA, 18, pd.NA]
    assert raw.notes == tuple(ALIKE)


def test_titles_lose_their_entities_and_ratings_of_zero_are_implicit(prepared: Callable) -> None:
    pairs = [(user, book) for user in range(8) for book in ("034545104X", "0155061224", "078946697X")]
    lines = [f'"{user}";"{book}";"{0 if user % 2 else 7}"' for user, book in pairs]
    ratings = "\n".join(['"User-ID";"ISBN";"Book-Rating"', *lines]).encode()
    files = {"BX-Book-Ratings.csv": ratings, "BX-Books.csv": FILES["BX-Books.csv"]}
    dataset, meta = prepared("book-crossing", files)
    assert meta["counts"]["interactions"] == 24
    assert dataset.items["title"].to_pylist()[1] == 'Peterman & the "Real"; J. "P."'
    assert dataset.items["title"].to_pylist()[0] is None
    assert "12 of 24 interactions have no rating" in meta["notes"]
    assert prepared("book-crossing", files, min_rating=1)[1]["counts"]["interactions"] == 12


def test_lines_that_cannot_be_told_apart_are_counted(read_files: Callable) -> None:
    more = FILES["BX-Books.csv"] + b'"1";"A";"B"\n'
    raw = read_files("book-crossing", FILES | {"BX-Books.csv": more})
    assert len(raw.items) == 3
    ratings, users = ALIKE
    assert raw.notes == (ratings, "BX-Books.csv: 1 line has too few or too many fields, e.g. line 5: left out", users)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("BX-Books.csv", None, r"BX-Books\.csv not found.*BX-CSV-Dump"),
        ("BX-Book-Ratings.csv", b"User-ID,ISBN,Book-Rating\n1,2,3\n", r"first line.*Ratings\.csv:1.*format: table"),
        ("BX-Book-Ratings.csv", b'"User-ID";"ISBN";"Book-Rating"\n', r"header and no rows"),
        ("BX-Book-Ratings.csv", b'"User-ID";"ISBN";"Book-Rating"\n"1","2","3"\n', r"not 3 fields.*Ratings\.csv:2"),
        ("BX-Book-Ratings.csv", b'"User-ID";"ISBN";"Book-Rating"\n\n"1";"2";"x"\n', r"'x', expected.*Ratings\.csv:3"),
        ("BX-Book-Ratings.csv", b'"User-ID";"ISBN";"Book-Rating"\n"1";" ";"3"\n', r"ISBN is ' ', .*Ratings\.csv:2"),
        ("BX-Users.csv", b"", r"empty.*BX-Users"),
    ],
)
def test_a_bad_file_is_named_with_its_line(
    read_files: Callable, name: str, content: bytes | None, message: str
) -> None:
    files = {other: data for other, data in FILES.items() if other != name} | (
        {name: content} if content is not None else {}
    )
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_files("book-crossing", files)
