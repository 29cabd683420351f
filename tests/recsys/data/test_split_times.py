"""A cut of all interactions at two moments, and what any split lets training see of the future."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.errors import DataError
from recsys.data.dataset import Dataset
from recsys.data.options import GlobalTemporalSplit, LeaveLastOut, RandomSplit, TemporalSplit
from recsys.data.prepare import prepare
from recsys.data.readers.base import RawData
from recsys.data.split_times import IGNORED, PER_USER, cut_in_time, order_in_time, span_notes, tie_notes
from recsys.data.splits import TEST, TRAIN, VALID

GLOBAL = GlobalTemporalSplit(kind="global_temporal")
DAY = 86_400


def frame_of(rows: list[tuple[int, int, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user", "item", "timestamp"]).drop_duplicates(
        ["user", "item"], ignore_index=True
    )


def rows_of(users: int, items: int, latest: int) -> st.SearchStrategy[list[tuple[int, int, int]]]:
    row = st.tuples(st.integers(0, users), st.integers(0, items), st.integers(0, latest))
    return st.lists(row, min_size=20, max_size=120)


@given(rows_of(8, 12, 40))
def test_no_moment_of_train_comes_after_one_of_valid_nor_that_after_one_of_test(
    rows: list[tuple[int, int, int]],
) -> None:
    frame = frame_of(rows)
    try:
        kept, dropped = cut_in_time(frame, GLOBAL, "here")
    except DataError:
        earliest = (frame["timestamp"] == frame["timestamp"].min()).sum()
        assert earliest > 0.8 * len(frame)
        return
    times = {part: kept["timestamp"][kept["split"] == part] for part in (TRAIN, VALID, TEST)}
    parts = [part for part in (TRAIN, VALID, TEST) if len(times[part])]
    assert all(times[one].max() < times[other].min() for one in parts for other in parts if one < other)
    train = kept[kept["split"] == TRAIN]
    assert set(kept["user"]) == set(train["user"])
    assert set(kept["item"]) == set(train["item"])
    assert len(frame) == len(kept) + sum(dropped.values())
    assert len(train) == (frame["timestamp"] < times[TRAIN].max() + 1).sum(), "no training interaction is dropped"


def test_the_cuts_are_where_the_ratios_say() -> None:
    frame = frame_of([(n % 10, (7 * n + n // 10) % 10, n) for n in range(100)])
    kept, dropped = cut_in_time(frame, GLOBAL, "here")
    assert dropped == {"users_not_in_train": 0, "items_not_in_train": 0}
    n = len(frame)
    assert [(kept["split"] == part).sum() for part in (TRAIN, VALID, TEST)] == [
        n * 8 // 10,
        n * 9 // 10 - n * 8 // 10,
        n - n * 9 // 10,
    ]


def test_who_comes_later_is_dropped_and_counted_by_reason() -> None:
    early = [(n % 3, n % 4, n) for n in range(12)]
    frame = frame_of([*early, (9, 0, 20), (9, 9, 21), (0, 9, 22)])
    split = GlobalTemporalSplit(kind="global_temporal", ratios=(12, 2, 1))
    kept, dropped = cut_in_time(frame, split, "here")
    assert dropped == {"users_not_in_train": 2, "items_not_in_train": 1}
    assert len(kept) == 12


def test_interactions_of_one_time_stay_together() -> None:
    frame = frame_of([(n % 4, n, n // 10) for n in range(40)])
    kept, _ = cut_in_time(frame, GlobalTemporalSplit(kind="global_temporal", ratios=(5, 2, 3)), "here")
    assert all(len(set(of_time)) == 1 for _, of_time in kept.groupby("timestamp")["split"])


def test_times_that_tell_nothing_apart_and_no_times_are_refused() -> None:
    frame = frame_of([(n % 3, n, 7) for n in range(9)])
    with pytest.raises(DataError, match=r"(?s)leaves nothing for train: 9 of 9.*here, dataset.split.*kind: random"):
        cut_in_time(frame, GLOBAL, "here")
    with pytest.raises(DataError, match=r"(?s)global_temporal split needs timestamps.*here"):
        cut_in_time(frame[["user", "item"]], GLOBAL, "here")


@pytest.mark.parametrize(
    ("splits", "told"),
    [
        ([TRAIN, TRAIN, VALID, TEST], "global: training ends 1970-01-03, validation 1970-01-04"),
        ([TRAIN, TRAIN, TEST, TEST], "global: training ends 1970-01-03"),
        ([TRAIN, TRAIN, TRAIN, TRAIN], None),
        ([TEST, TRAIN, TRAIN, TRAIN], IGNORED),
    ],
)
def test_the_order_in_time_is_read_from_the_data(splits: list[int], told: str | None) -> None:
    frame = pd.DataFrame({"user": [0, 0, 0, 0], "timestamp": [DAY * n for n in range(1, 5)], "split": splits})
    assert order_in_time(frame) == told
    assert order_in_time(frame.drop(columns="timestamp")) is None


def test_per_user_is_told_from_global() -> None:
    frame = pd.DataFrame({"user": [0, 0, 1, 1], "timestamp": [1, 2, 8, 9], "split": [TRAIN, TEST, TRAIN, TEST]})
    assert order_in_time(frame) == PER_USER


def raw_data() -> RawData:
    rng = np.random.default_rng(0)
    n = 600
    interactions = pd.DataFrame(
        {
            "user": rng.integers(0, 30, n).astype(str),
            "item": rng.integers(0, 60, n).astype(str),
            "timestamp": rng.integers(10 * DAY, 90 * DAY, n),
        }
    )
    return RawData(interactions, pd.DataFrame({"item": [str(n) for n in range(60)]}), pd.DataFrame({"user": ["0"]}))


@pytest.mark.parametrize("kind", ["random", "temporal", "global_temporal"])
def test_prepared_data_say_how_their_split_stands_to_time(tmp_path: Path, options: Callable, kind: str) -> None:
    meta = prepare(raw_data(), options(split={"kind": kind}, least_described=0), tmp_path, 3)
    told = meta["protocol"]["time"]
    warned = [note for note in meta["notes"] if "the split ignores them" in note]
    assert bool(warned) == (kind == "random")
    assert told.startswith(
        {"random": "ignored", "temporal": "per user", "global_temporal": "global: training ends"}[kind]
    )
    data = Dataset.load(tmp_path)
    times = {part: data.timestamps(part) for part in ("train", "valid", "test")}
    in_order = max(times["train"]) < min(times["valid"]) and max(times["valid"]) < min(times["test"])  # type: ignore[type-var]
    assert in_order == (kind == "global_temporal")
    if kind == "global_temporal":
        counts = meta["dropped"]
        lost = sum(counts[name] for name in ("duplicates", "users_not_in_train", "items_not_in_train"))
        assert meta["counts"]["interactions"] == 600 - lost


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (LeaveLastOut(kind="leave_last_out"), "larger id"),
        (TemporalSplit(kind="temporal"), "larger id"),
        (TemporalSplit(kind="temporal", ties="file"), "later row"),
    ],
)
def test_held_out_interactions_without_an_order_of_their_own_are_said(
    split: LeaveLastOut | TemporalSplit, said: str
) -> None:
    rows = [
        (user, times[part], part) for user, times in enumerate([(1, 1, 2), (1, 2, 2), (1, 2, 3)]) for part in range(3)
    ]
    frame = pd.DataFrame(rows, columns=["user", "timestamp", "split"])
    assert [bool(re.search(f"^1 of 3 users.*{said}.*split.ties", note)) for note in tie_notes(frame, split)] == [True]
    assert tie_notes(frame[frame["user"] > 0].assign(user=lambda kept: kept["user"] - 1), split) == []
    assert tie_notes(frame, RandomSplit(kind="random")) == tie_notes(frame.drop(columns="timestamp"), split) == []


def test_times_that_stand_for_none_are_said() -> None:
    def said(times: list[int]) -> list[str]:
        return [note.partition(":")[0] for note in span_notes(pd.DataFrame({"timestamp": times}))]

    now = 1_500_000_000
    assert said([now, 0, now + 5]) == ["1 of 3 interactions have times before 1990 or after 2100, e.g. 1970-01-01T00"]
    assert said([now, now, 253_402_214_400]) == [
        "1 of 3 interactions have times before 1990 or after 2100, e.g. 9999-12-31T00"
    ]
    assert said([0, 17361, 86_401]) == ["all times are of 1970 (1970-01-01 to 1970-01-02), read as seconds"]
    assert (
        said([now, now + 1])
        == said([1, -2, 3])
        == said([1, 40_000_000])
        == span_notes(pd.DataFrame({"user": [1]}))
        == []
    )
