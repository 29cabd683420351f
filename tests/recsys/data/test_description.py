"""What is said of a data set is what counting by hand says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.data.description import QUANTILES, describe
from recsys.data.options import DatasetOptions
from recsys.data.readers.base import RawData

ROWS = [
    ("ann", "x", 5.0, 86_400),
    ("ann", "y", 3.0, 86_400),
    ("ann", "x", 4.0, 90_000),  # the later one of a pair counts
    ("bob", "x", 4.0, 10 * 86_400),
    ("bob", "y", float("nan"), 11 * 86_400),
    ("cy", "z", 1.0, 400 * 86_400),
]


@pytest.fixture
def raw() -> RawData:
    frame = pd.DataFrame(ROWS, columns=["user", "item", "rating", "timestamp"])
    frame = frame.astype({"rating": np.float32})
    frame["review"] = ["so very good", None, None, "bad", None, None]
    items = pd.DataFrame({"item": ["x", "y", "w"], "title": ["A long title", None, "not seen"], "year": [1, 2, 3]})
    return RawData(frame, items, pd.DataFrame({"user": pd.Series(dtype=str)}))


def test_counts_degrees_and_density(raw: RawData) -> None:
    found = describe(raw)
    pairs = {(user, item) for user, item, *_ in ROWS}
    assert (found.rows, found.pairs, found.users, found.items) == (6, len(pairs), 3, 3)
    assert found.density == pytest.approx(5 / 9)
    for degrees, place in ((found.user_degrees, 0), (found.item_degrees, 1)):
        counts = sorted(Counter(pair[place] for pair in pairs).values())
        assert degrees.mean == pytest.approx(sum(counts) / len(counts))
        assert degrees.alone == counts.count(1) == 1
        assert (degrees.quantiles[0], degrees.quantiles[-1]) == (counts[0], counts[-1])
        assert degrees.quantiles[QUANTILES.index(0.5)] == counts[1]


def test_ratings_times_and_texts(raw: RawData) -> None:
    found = describe(raw)
    assert found.ratings is not None
    assert found.times is not None
    assert (found.ratings.counts, found.ratings.missing) == ({"1": 1, "3": 1, "4": 2, "5": 1}, 1)
    assert (found.times.first, found.times.last, found.times.days) == ("1970-01-02", "1971-02-05", 399.0)
    assert found.times.at_once == pytest.approx(2 / 6, abs=1e-4)
    texts = {(text.about, text.column): text for text in found.texts}
    assert texts.keys() == {("item", "title"), ("interaction", "review")}
    assert texts["item", "title"].covered == pytest.approx(1 / 3)
    assert texts["item", "title"].words == (3.0,) * len(QUANTILES)
    assert texts["interaction", "review"].covered == pytest.approx(2 / 6)
    (items,) = found.described
    assert (items.with_row, items.without_row, items.without_interaction) == (2, 1, 1)


def test_what_says_that_there_is_nothing_is_no_text(raw: RawData) -> None:
    items = pd.DataFrame({"item": ["x", "y", "z"], "title": ["nan", "nan", "A title"]})
    found = describe(replace(raw, items=items))
    assert [(text.column, round(text.covered, 2)) for text in found.texts if text.about == "item"] == [("title", 0.33)]
    assert found.notes == ("the items: 2 values of title read 'nan' or the like: missing",)


def test_zeros_of_mysql_are_no_fault(raw: RawData) -> None:
    """0000-00-00 in seconds is before all that datetime knows."""
    found = describe(replace(raw, interactions=raw.interactions.assign(timestamp=[-62_167_219_200, *range(5)])))
    assert found.times is not None
    assert (found.times.first, found.times.last) == ("0000-01-01", "1970-01-01")


def test_what_thresholds_would_leave(raw: RawData) -> None:
    options = DatasetOptions.model_validate(
        {
            "name": "d",
            "source": {"format": "recbole", "path": "p"},
            "min_rating": 4,
            "k_core": 2,
            "split": {"kind": "random"},
        }
    )
    left = {(one.min_rating, one.k_core): one for one in describe(raw, options).left}
    assert {threshold for threshold, _ in left} == {None, 3.0, 4.0}
    assert [key for key, one in left.items() if one.own] == [(4.0, 2)]
    assert (left[None, 0].users, left[None, 0].items, left[None, 0].interactions) == (3, 3, 5)
    assert (left[4.0, 0].users, left[4.0, 0].items, left[4.0, 0].interactions) == (2, 1, 2)
    assert left[4.0, 2].interactions == 0  # a core of two needs two items
    assert left[None, 5].interactions == 0


def test_data_without_ratings_and_times() -> None:
    frame = pd.DataFrame({"user": ["a", "b"], "item": ["x", "x"]})
    found = describe(RawData(frame, pd.DataFrame({"item": []}), pd.DataFrame({"user": []})))
    assert (found.ratings, found.times, found.texts, found.described) == (None, None, (), ())
    assert {one.min_rating for one in found.left} == {None}
