"""Amazon's three releases in small, as they are and as they are broken, through `prepare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from recsys.data.readers.amazon import price
from tests.recsys.data.published import packed

USERS, ITEMS = 12, 9


def old_review(user: int, item: int, **change: Any) -> dict[str, Any]:
    """A line of 2014 and 2018; ids look like numbers, as ISBNs do."""
    review = {
        "reviewerID": f"A{user:03d}",
        "asin": f"{item:010d}",
        "reviewerName": 'J. "Jay" Doe',
        "helpful": [0, 1],
        "reviewText": f"Book {item} isn't <b>bad</b> &amp; user {user} says so.",
        "overall": float(1 + (user + item) % 5),
        "summary": "fine",
        "unixReviewTime": 1252800000 + 86400 * (user * ITEMS + item),
        "reviewTime": "09 13, 2009",
    }
    return review | change


def new_review(user: int, item: int, **change: Any) -> dict[str, Any]:
    """The same line of 2023: other keys, milliseconds, a variant's id beside the product's."""
    old = old_review(user, item)
    review = {
        "rating": old["overall"],
        "title": old["summary"],
        "text": old["reviewText"],
        "images": [{"small_image_url": "https://x/y.jpg"}],
        "asin": f"V{user}{item}",
        "parent_asin": old["asin"],
        "user_id": old["reviewerID"],
        "timestamp": old["unixReviewTime"] * 1000 + 417,
        "helpful_vote": 0,
        "verified_purchase": True,
    }
    return review | change


def meta_2014(item: int) -> dict[str, Any]:
    about = {
        "asin": f"{item:010d}",
        "title": f'The <i>Gull</i>\'s "Nest" {item}',
        "categories": [["Books", "Sea"], ["Books", "Birds", "Gulls"]],
        "price": 3.5 + item,
        "salesRank": {"Books": 7},
        "related": {"also_bought": ["0000000001"]},
    }
    return about | ({"description": f"About &quot;gulls&quot; {item}"} if item % 2 else {})


PAIRS = [(user, item) for user in range(USERS) for item in range(ITEMS) if (user + 2 * item) % 3]


def release(layout: str) -> dict[str, bytes]:
    if layout == "amazon-2014":
        return {
            "reviews_Books_5.json.gz": packed([json.dumps(old_review(*pair)) for pair in PAIRS]),
            "meta_Books.json.gz": packed([repr(meta_2014(item)) for item in range(ITEMS)]),
        }
    if layout == "amazon-2018":
        metas = [
            {
                "asin": f"{item:010d}",
                "title": f'The Gull\'s "Nest" {item}',
                "category": ["Books", "Sea", "Birds", "Gulls"],
                "description": ["About", f'"gulls" {item}'] if item % 2 else [],
                "feature": ["soft", "<b>dry</b>"],
                "price": f"${3.5 + item:.2f}" if item else ".a-box-inner{background-color:#fff}",
                "also_buy": ["0000000001"],
            }
            for item in range(ITEMS)
        ]
        return {
            "Books.json.gz": packed([json.dumps(old_review(*pair, style={"Format:": " Paperback"})) for pair in PAIRS]),
            "meta_Books.json.gz": packed([json.dumps(meta) for meta in metas]),
        }
    metas = [
        {
            "main_category": None,
            "title": f'The Gull\'s "Nest" {item}',
            "average_rating": 4.5,
            "features": [],
            "description": ["About", f'"gulls" {item}'] if item % 2 else [],
            "price": [None, "—", 3.5 + item, f"{3.5 + item}"][item % 4],
            "images": [{"thumb": "https://a/b.jpg"}],
            "store": "Kelpie",
            "author": {"avatar": "https://a", "name": "Ann Gull", "about": ["..."]},
            "categories": ["Books", "Sea", "Birds", "Gulls"],
            "details": {"Publisher": "Reef"},
            "parent_asin": f"{item:010d}",
        }
        for item in range(ITEMS)
    ]
    return {
        "Books.jsonl.gz": packed([json.dumps(new_review(*pair)) for pair in PAIRS]),
        "meta_Books.jsonl.gz": packed([json.dumps(meta) for meta in metas]),
    }


LAYOUTS = ["amazon-2014", "amazon-2018", "amazon-2023"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_that_was_said_stays_with_its_interaction(prepared: Callable, layout: str) -> None:
    dataset, meta = prepared(layout, release(layout))
    assert meta["counts"]["interactions"] == len(PAIRS)
    users, items = dataset.users["source_id"].to_pylist(), dataset.items["source_id"].to_pylist()
    assert items == [f"{item:010d}" for item in range(ITEMS)]
    seen = set()
    for split in ("train", "valid", "test"):
        ratings, times, texts = dataset.ratings(split), dataset.timestamps(split), dataset.texts(split)
        for place, (u, i) in enumerate(dataset.pairs(split).tolist()):
            user, item = int(users[u][1:]), int(items[i])
            said = old_review(user, item)
            assert ratings[place] == said["overall"]
            assert times[place] == said["unixReviewTime"]
            assert texts[place].as_py() == f"Book {item} isn't bad & user {user} says so."
            seen.add((user, item))
    assert seen == set(PAIRS)
    rows = dataset.items.to_pylist()
    assert [row["title"] for row in rows] == [f'The Gull\'s "Nest" {item}' for item in range(ITEMS)]
    assert [row["description"] for row in rows] == [f'About "gulls" {i}' if i % 2 else None for i in range(ITEMS)]
    assert all(row["genres"] == ["Books", "Sea", "Birds", "Gulls"] for row in rows)
    assert meta["missing"]["items"]["description"] == 5
    assert f"interactions: HTML tags and entities removed from review ({len(PAIRS)})" in meta["notes"]


def test_what_a_shop_writes_for_a_price(prepared: Callable) -> None:
    prices = prepared("amazon-2014", release("amazon-2014"))[0].items["price"].to_pylist()
    assert prices == [3.5 + item for item in range(ITEMS)]
    assert [price(cell) for cell in ("$1,012.50", "12", None, "—", "$5.99 - $12.99", ".a-box{}", "1,2", "")] == [
        "1012.50", "12", None, None, None, None, None, None
    ]  # fmt: skip


def test_shops_of_2023_have_authors_and_a_store(prepared: Callable) -> None:
    rows = prepared("amazon-2023", release("amazon-2023"))[0].items.to_pylist()
    assert {row["brand"] for row in rows} == {"Kelpie"}
    assert all(row["author"] == ["Ann Gull"] for row in rows)
    assert [row["price"] for row in rows][:4] == [None, None, 5.5, 6.5]
    assert not {"average_rating", "images", "details"} & set(rows[0])  # what counts test interactions is not kept


def test_plain_files_and_empty_lines_are_read_too(prepared: Callable) -> None:
    lines = [json.dumps(new_review(*pair)) for pair in PAIRS]
    plain = "\n\n".join(["", *lines, "", ""]).replace("\n\n", "\r\n \n").encode()
    dataset, meta = prepared("amazon-2023", {"Books.jsonl": plain})
    assert meta["counts"]["interactions"] == len(PAIRS)
    assert dataset.texts("train").null_count == 0
    assert "no file describes the items: they have no titles" in meta["notes"]


def test_of_duplicate_reviews_the_latest_stays_with_its_own_text(prepared: Callable) -> None:
    files = release("amazon-2014")
    lines = [json.dumps(old_review(*pair)) for pair in PAIRS]
    user, item = PAIRS[0]
    late = old_review(user, item, reviewText="On second thought.", unixReviewTime=1_400_000_000, overall=2.0)
    same_time = old_review(user, item, reviewText="Worse.", unixReviewTime=1_400_000_000, overall=1.0)
    for extra in ([late, same_time], [same_time, late]):
        for again in (lines + [json.dumps(line) for line in extra], [json.dumps(line) for line in extra] + lines):
            dataset, meta = prepared("amazon-2014", files | {"reviews_Books_5.json.gz": packed(again)})
            assert meta["dropped"]["duplicates"] == 2
            texts = [text for split in ("train", "valid", "test") for text in dataset.texts(split).to_pylist()]
            assert "On second thought." in texts
            assert "Worse." not in texts


def test_equal_duplicates_with_other_words_do_not_depend_on_the_order_of_lines(prepared: Callable) -> None:
    lines = [json.dumps(old_review(*pair)) for pair in PAIRS]
    other = [json.dumps(old_review(*pair, reviewText=f"other words {pair}")) for pair in PAIRS]
    read_texts = [
        [prepared("amazon-2014", {"reviews_Books.json.gz": packed(order)})[0].texts(split).to_pylist()
         for split in ("train", "valid", "test")]
        for order in (lines + other, other + lines)
    ]  # fmt: skip
    assert read_texts[0] == read_texts[1]


def test_a_blank_review_is_none_and_a_missing_rating_too(prepared: Callable) -> None:
    lines = [old_review(*pair) for pair in PAIRS]
    lines[0]["reviewText"] = "  "
    del lines[1]["reviewText"]
    lines[2]["overall"] = None
    files = release("amazon-2014") | {"reviews_Books_5.json.gz": packed([json.dumps(line) for line in lines])}
    dataset, meta = prepared("amazon-2014", files)
    assert sum(dataset.texts(split).null_count for split in ("train", "valid", "test")) == 2
    assert sum(int(np.isnan(dataset.ratings(split)).sum()) for split in ("train", "valid", "test")) == 1
    assert f"2 of {len(PAIRS)} interactions have no review" in meta["notes"]
    assert prepared("amazon-2014", files, min_rating=1)[1]["dropped"]["without_rating"] == 1


def test_filters_leave_each_review_where_it_belongs(prepared: Callable) -> None:
    fields = {"min_rating": 2, "sample_users": 0.7, "sampling": "before_k_core", "k_core": 3}
    dataset, meta = prepared("amazon-2018", release("amazon-2018"), split={"kind": "by_interaction"}, **fields)
    assert 0 < meta["counts"]["interactions"] < len(PAIRS)
    users, items = dataset.users["source_id"].to_pylist(), dataset.items["source_id"].to_pylist()
    for split in ("train", "valid", "test"):
        for (u, i), text in zip(dataset.pairs(split).tolist(), dataset.texts(split).to_pylist(), strict=True):
            assert text == f"Book {int(items[i])} isn't bad & user {int(users[u][1:])} says so."


def test_an_item_described_twice_and_lines_without_an_id(prepared: Callable) -> None:
    files = release("amazon-2014")
    metas = [repr(meta_2014(item)) for item in range(ITEMS)]
    more = [repr(meta_2014(3) | {"title": "Another"}), repr({"title": "Nobody's"}), repr(meta_2014(99))]
    reviews = [json.dumps(old_review(*pair)) for pair in PAIRS] + ['{"asin": "0000000001", "overall": 5.0}']
    dataset, meta = prepared(
        "amazon-2014", {"reviews_Books_5.json.gz": packed(reviews), "meta_Books.json.gz": packed(metas + more)}
    )
    assert dataset.items["title"].to_pylist()[3] == 'The Gull\'s "Nest" 3'
    assert "meta_Books.json.gz: 1 line describes an item again: left out" in meta["notes"]
    assert "meta_Books.json.gz: 1 line has no asin: left out" in meta["notes"]
    assert "reviews_Books_5.json.gz: 1 line has no reviewerID: left out" in meta["notes"]
    assert meta["dropped"]["items_without_interactions"] == 1
    clean = prepared("amazon-2014", files)[1]["notes"]
    assert not [note for note in clean if "left out" in note]


GOOD = json.dumps(old_review(1, 1))
SMALL = '{"user_id": "A", "parent_asin": "B", "rating": 3.0, "timestamp": 1253664000000, "text": ""}'


@pytest.mark.parametrize(
    ("layout", "files", "message"),
    [
        ("amazon-2014", {}, r"no file holds the reviews; expected reviews_\*\.json.*jmcauley"),
        ("amazon-2023", {"meta_Books.jsonl.gz": packed([GOOD])}, r"no file holds the reviews.*amazon-reviews-2023"),
        (
            "amazon-2014",
            {"reviews_Books.json": GOOD.encode(), "reviews_Toys.json": GOOD.encode()},
            r"2 files could hold the reviews: reviews_Books\.json, reviews_Toys\.json.*a folder of its own",
        ),
        ("amazon-2014", {"reviews_Books.json.gz": packed([GOOD] * 50)[:-20]}, r"cannot be decompressed.*cut short"),
        ("amazon-2014", {"reviews_Books.json.gz": b""}, r"empty.*reviews_Books"),
        ("amazon-2014", {"reviews_Books.json.gz": packed([""])}, r"empty.*reviews_Books"),
        ("amazon-2014", {"reviews_Books.json": f"{GOOD}\n\n{GOOD[:-9]}\n".encode()}, r"read as json.*Books\.json:3"),
        ("amazon-2014", {"reviews_Books.json": f"{GOOD}\n[1]\n".encode()}, r"expected an object.*Books\.json:2"),
        ("amazon-2014", {"reviews_Books.json": f"{GOOD}\n\0\n".encode()}, r"NUL byte.*Books\.json:2"),
        ("amazon-2014", {"reviews_Books.json": GOOD.encode() + b'\n{"a": "\xe9"}'}, r"not utf-8.*Books\.json:2"),
        (
            "amazon-2014",
            {"reviews_Books.json": (GOOD + "\n\n" + GOOD.replace("3.0", '"three"')).encode()},
            r"overall is 'three', expected a number.*Books\.json:3",
        ),
        (
            "amazon-2014",
            {"reviews_Books.json": (GOOD + "\n" + GOOD.replace("3.0", "1e40")).encode()},
            r"overall is '1e40', which is too large for a rating.*Books\.json:2",
        ),
        (
            "amazon-2014",
            {"reviews_Books.json": ("\n" + GOOD + "\n\n" + GOOD.replace("1253664000", '"soon"')).encode()},
            r"unixReviewTime is 'soon'.*Books\.json:4",
        ),
        (
            "amazon-2023",
            {"Books.jsonl": "\n".join([SMALL] * 60_000 + [SMALL.replace("1253664000000", "1253664000")]).encode()},
            r"timestamp is '1253664000'.*Books\.jsonl:60001",
        ),
        ("amazon-2023", {"Books.jsonl": f"[{SMALL}]".encode()}, r"an object.*jsonl:1.*one JSON object a line$"),
        ("amazon-2023", {"Books.jsonl": SMALL.replace('"A"', "[]").encode()}, r"no line has a value.*remedy: check"),
        ("amazon-2023", {"Books.jsonl": GOOD.encode()}, r"no line has a value of 'user_id'.*reviewerID.*source"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named_with_its_line(
    prepared: Callable, layout: str, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        prepared(layout, files)


def test_a_truncated_file_of_items_is_named(prepared: Callable) -> None:
    files = release("amazon-2018")
    with pytest.raises(DataError, match=r"(?s)cannot be decompressed.*after \d+ lines.*meta_Books.*cut short"):
        prepared("amazon-2018", files | {"meta_Books.json.gz": files["meta_Books.json.gz"][:-30]})


def test_items_of_another_category_are_refused(prepared: Callable) -> None:
    metas = packed([repr(meta_2014(item + 100)) for item in range(ITEMS)])
    with pytest.raises(DataError, match=r"(?s)no id is in common.*reviews_Books_5.*meta_Toys"):
        prepared("amazon-2014", {"reviews_Books_5.json.gz": release("amazon-2014")["reviews_Books_5.json.gz"],
                                 "meta_Toys.json.gz": metas})  # fmt: skip
