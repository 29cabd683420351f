"""Goodreads' files in small: shelves, reviews, books, authors, genres."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from tests.recsys.data.published import packed

PAIRS = [(user, book) for user in range(8) for book in range(5)]
REVIEWED = [(user, book) for user, book in PAIRS if (user + book) % 2]


def shelved(user: int, book: int) -> dict[str, Any]:
    return {
        "user_id": f"{user:032x}",
        "book_id": f"{100 + book}",
        "is_read": True,
        "rating": (user + book) % 6,
        "review_text_incomplete": f"So good, {user}" if (user, book) in REVIEWED else "",
        "date_added": f"Sun Jul {10 + book} 07:44:{10 + user} -0700 2017",
        "read_at": "",
    }


def reviewed(user: int, book: int) -> dict[str, Any]:
    about = {name: value for name, value in shelved(user, book).items() if name != "review_text_incomplete"}
    return about | {"review_text": f"So good, {user}, that {book} goes on.", "n_votes": 0}


def book(number: int) -> dict[str, Any]:
    return {
        "book_id": f"{100 + number}",
        "title": f"The Reef #{number}",
        "description": "Of <i>fish</i>." if number else "",
        "authors": [{"author_id": "7", "role": ""}, {"author_id": f"{80 + number}", "role": "Illustrator"}],
        "popular_shelves": [
            {"count": "9", "name": "to-read"},
            {"count": "3", "name": "sea"},
            {"count": "2", "name": "own"},
        ],
        "publication_year": "2006" if number else "",
        "num_pages": "256",
        "publisher": "Reef",
        "average_rating": "4.2",
        "similar_books": ["1"],
    }


def lines(records: list[dict[str, Any]]) -> bytes:
    return packed([json.dumps(record) for record in records])


SHELVES = {"goodreads_interactions_poetry.json.gz": lines([shelved(*pair) for pair in PAIRS])}
REVIEWS = {"goodreads_reviews_poetry.json.gz": lines([reviewed(*pair) for pair in REVIEWED])}
BOOKS = {"goodreads_books_poetry.json.gz": lines([book(number) for number in range(5)])}


def texts_of(dataset: Any) -> dict[tuple[int, int], str | None]:
    users, books = dataset.users["source_id"].to_pylist(), dataset.items["source_id"].to_pylist()
    return {
        (int(users[u], 16), int(books[i]) - 100): text
        for split in ("train", "valid", "test")
        for (u, i), text in zip(dataset.pairs(split).tolist(), dataset.texts(split).to_pylist(), strict=True)
    }


def test_reviews_alone(prepared: Callable) -> None:
    dataset, meta = prepared("goodreads", REVIEWS | BOOKS, split={"kind": "by_interaction"})
    assert texts_of(dataset) == {pair: reviewed(*pair)["review_text"] for pair in REVIEWED}
    assert meta["counts"]["interactions"] == len(REVIEWED)


def test_shelves_alone_have_beginnings_of_reviews(prepared: Callable) -> None:
    dataset, _ = prepared("goodreads", SHELVES | BOOKS)
    assert texts_of(dataset) == {pair: shelved(*pair)["review_text_incomplete"] or None for pair in PAIRS}


def test_of_both_the_reviews_have_the_texts(prepared: Callable) -> None:
    dataset, meta = prepared("goodreads", SHELVES | REVIEWS | BOOKS)
    assert texts_of(dataset) == {pair: reviewed(*pair)["review_text"] if pair in REVIEWED else None for pair in PAIRS}
    assert meta["dropped"]["duplicates"] == len(REVIEWED)


def test_a_zero_is_no_rating_and_times_have_their_zone(prepared: Callable) -> None:
    dataset, _ = prepared("goodreads", SHELVES)
    users, books = dataset.users["source_id"].to_pylist(), dataset.items["source_id"].to_pylist()
    for (u, i), rating, time in zip(
        dataset.train.tolist(), dataset.ratings("train"), dataset.timestamps("train"), strict=True
    ):
        user, number = int(users[u], 16), int(books[i]) - 100
        given = (user + number) % 6
        assert rating == given if given else np.isnan(rating)
        assert time == 1499697850 + 86400 * number + user  # 2017-07-10 14:44:10 UTC


def test_books_with_shelves_as_genres(prepared: Callable) -> None:
    rows = prepared("goodreads", SHELVES | BOOKS)[0].items.to_pylist()
    assert [row["description"] for row in rows] == [None] + ["Of fish."] * 4
    assert [row["year"] for row in rows] == [None] + [2006] * 4
    assert all(row["genres"] == ["sea"] for row in rows)
    assert not {"author", "average_rating", "similar_books"} & set(rows[0])  # ids of authors say nothing


def test_authors_and_genres_of_their_own_files(prepared: Callable) -> None:
    kinds = [{"book_id": f"{100 + n}", "genres": {"history, biography": 3, "poetry": 1} if n else {}} for n in range(4)]
    writers = [
        {"author_id": "7", "name": "Ann Gull"},
        {"author_id": "81", "name": "Bo"},
        {"author_id": "5", "name": "C"},
    ]
    others = {
        "goodreads_book_genres_initial.json.gz": lines(kinds),
        "goodreads_book_authors.json.gz": lines(writers),
    }
    dataset, meta = prepared("goodreads", SHELVES | BOOKS | others)
    rows = dataset.items.to_pylist()
    assert [row["genres"] for row in rows] == [[], *[["history", "biography", "poetry"]] * 3, []]
    assert [row["author"] for row in rows] == [["Ann Gull"], ["Ann Gull", "Bo"], *[["Ann Gull"]] * 3]
    assert set(others) < set(meta["source"]["files"])


def test_without_interactions_both_names_are_told(prepared: Callable) -> None:
    with pytest.raises(DataError, match=r"(?s)no file holds the.*goodreads_interactions\*.*goodreads_reviews\*"):
        prepared("goodreads", BOOKS)
