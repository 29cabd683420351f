"""Yelp's dump in small."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from augrec.artefacts.errors import DataError
from tests.recsys.data.published import packed, unpacked

PAIRS = [(user, place) for user in range(9) for place in range(6)]


def review(user: int, place: int, **change: Any) -> dict[str, Any]:
    about = {
        "review_id": f"r{user}-{place}",
        "user_id": f"-u_{user}",
        "business_id": f"_b{place}",
        "stars": float(1 + (user * place) % 5),
        "useful": 0,
        "text": f"Très bon,\n\nsaid {user} of {place}.",
        "date": f"2018-07-{1 + user:02d} 22:09:{place:02d}",
    }
    return about | change


def business(place: int, **change: Any) -> dict[str, Any]:
    about = {
        "business_id": f"_b{place}",
        "name": f"Café {place}",
        "city": "Tucson",
        "state": "AZ",
        "stars": 3.5,
        "review_count": 9,
        "attributes": {"BusinessParking": "{'garage': False}"},
        "categories": "Bars, Food & Drink,  Cafés" if place else None,
        "hours": None,
    }
    return about | change


REVIEWS = [json.dumps(review(*pair), ensure_ascii=False) for pair in PAIRS]
BUSINESSES = [json.dumps(business(place)) for place in range(6)]
FILES = {
    "yelp_academic_dataset_review.json": unpacked(REVIEWS),
    "yelp_academic_dataset_business.json": unpacked(BUSINESSES),
    "yelp_academic_dataset_user.json": unpacked([json.dumps({"user_id": "-u_1", "name": "Ann", "friends": "None"})]),
    "yelp_academic_dataset_tip.json": unpacked(["{}"]),
}


@pytest.mark.parametrize(
    "files",
    [FILES, {"review.json.gz": packed(REVIEWS), "business.json.gz": packed(BUSINESSES)}],
    ids=["as published", "short names, packed"],
)
def test_reviews_and_businesses(prepared: Callable, files: dict[str, bytes]) -> None:
    dataset, meta = prepared("yelp", files, split={"kind": "leave_last_out"})
    assert meta["counts"]["interactions"] == len(PAIRS)
    users, places = dataset.users["source_id"].to_pylist(), dataset.items["source_id"].to_pylist()
    texts, times, ratings = dataset.texts("test"), dataset.timestamps("test"), dataset.ratings("test")
    for row, (u, i) in enumerate(dataset.test.tolist()):
        said = review(int(users[u][3:]), int(places[i][2:]))
        assert places[i] == "_b5"  # the last by time
        assert texts[row].as_py() == said["text"]
        assert ratings[row] == said["stars"]
        assert times[row] == 1530482945 + 86400 * int(users[u][3:])  # 2018-07-01 22:09:05 UTC
    assert dataset.items["title"].to_pylist() == [f"Café {place}" for place in range(6)]
    assert dataset.items["genres"].to_pylist() == [[]] + [["Bars", "Food & Drink", "Cafés"]] * 5
    assert set(dataset.items.column_names) == {"item", "source_id", "title", "genres", "city", "state"}
    assert dataset.users.column_names == ["user", "source_id"]
    assert "academic use" in meta["licence"]


def test_a_date_that_is_none_is_named(prepared: Callable) -> None:
    lines = [*REVIEWS, "", json.dumps(review(1, 1, date="yesterday"))]
    with pytest.raises(DataError, match=rf"(?s)date is 'yesterday'.*review\.json:{len(lines)}"):
        prepared("yelp", {"review.json": unpacked(lines)})


def test_without_reviews_the_dump_is_asked_for(prepared: Callable) -> None:
    with pytest.raises(DataError, match=r"(?s)no file holds the reviews.*yelp_academic_dataset_review.*yelp_dataset"):
        prepared("yelp", {"yelp_academic_dataset_business.json": unpacked(BUSINESSES)})
