"""How each user's interactions are divided."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.errors import DataError
from recsys.data.options import (
    GivenSplit,
    HashedSplit,
    InteractionSplit,
    LeaveLastOut,
    RandomSplit,
    Split,
    TemporalSplit,
)
from recsys.data.splits import FEW_USERS, TEST, TRAIN, VALID, places_in_time, require_parts, split_interactions

NAMES = (np.array([f"u{user}" for user in range(60)]), np.array([f"i{item}" for item in range(60)]))
RANDOM, HASHED, WHOLE, LAST, BY_TIME = (
    RandomSplit(kind="random"),
    HashedSplit(kind="hashed"),
    InteractionSplit(kind="by_interaction"),
    LeaveLastOut(kind="leave_last_out"),
    TemporalSplit(kind="temporal"),
)


def frame_of(counts: list[int], n_items: int = 40, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [(u, i, rng.integers(0, 5)) for u, n in enumerate(counts) for i in sorted(rng.choice(n_items, n, False))]
    return pd.DataFrame(rows, columns=["user", "item", "timestamp"])


def run(frame: pd.DataFrame, split: Split, seed: int = 0) -> tuple[np.ndarray, int]:
    return split_interactions(frame, split, np.random.default_rng(seed), "here", NAMES)


@pytest.mark.parametrize("split", [RANDOM, HASHED])
@given(counts=st.lists(st.integers(1, 25), min_size=1, max_size=12), seed=st.integers(0, 50))
def test_random_split_leaves_no_user_and_no_item_without_train(
    split: RandomSplit | HashedSplit, counts: list[int], seed: int
) -> None:
    frame = frame_of(counts, seed=seed)
    parts, moved = run(frame, split, seed)
    train = frame[parts == TRAIN]
    assert set(train["user"]) == set(frame["user"])
    assert set(train["item"]) == set(frame["item"])
    # Before the moves each user has exactly its share, so the moves account for every difference.
    shares = sum(max(n * 3 // 5, 1) for n in counts)
    assert len(train) == shares + moved


@pytest.mark.parametrize("split", [RANDOM, HASHED])
def test_random_split_has_the_ratio_and_follows_the_seed(split: RandomSplit | HashedSplit) -> None:
    frame = frame_of([20] * 30, n_items=25)
    parts, moved = run(frame, split)
    assert moved == 0
    assert np.bincount(parts).tolist() == [360, 120, 120]
    assert np.array_equal(parts, run(frame, split)[0])
    assert not np.array_equal(parts, run(frame, split, 1)[0])


@given(counts=st.lists(st.integers(1, 25), min_size=1, max_size=12), seed=st.integers(0, 50))
def test_a_split_by_interaction_has_the_ratio_over_all_and_trains_everybody(counts: list[int], seed: int) -> None:
    frame = frame_of(counts, seed=seed)
    parts, moved = run(frame, WHOLE, seed)
    train = frame[parts == TRAIN]
    assert set(train["user"]) == set(frame["user"])
    assert set(train["item"]) == set(frame["item"])
    n, needed = len(frame), frame["user"].nunique() + frame["item"].nunique()
    if needed <= n * 3 // 5:
        assert np.bincount(parts, minlength=3).tolist() == [n * 3 // 5, n * 4 // 5 - n * 3 // 5, n - n * 4 // 5]
    # The plain cut of the same draw, and everything in it that is not moved.
    keys = np.random.default_rng(seed).random(n)
    plain = np.searchsorted([n * 3 // 5, n * 4 // 5], np.argsort(np.argsort(keys)), side="right")
    came = (parts == TRAIN) & (plain != TRAIN)
    assert came.sum() == moved
    lacking = {
        (about, value)
        for about in ("user", "item")
        for value in set(frame[about]) - set(frame.loc[plain == TRAIN, about])
    }
    assert moved <= len(lacking)
    assert all({("user", u), ("item", i)} & lacking for u, i in frame.loc[came, ["user", "item"]].to_numpy().tolist())


def test_a_split_by_interaction_holds_out_more_of_some_users_than_of_others() -> None:
    frame = frame_of([20] * 30, n_items=25)
    parts = run(frame, WHOLE)[0]
    assert np.bincount(parts).tolist() == [360, 120, 120]
    assert np.array_equal(parts, run(frame, WHOLE)[0])
    assert not np.array_equal(parts, run(frame, WHOLE, 1)[0])
    per_user = (parts == TRAIN).reshape(30, 20).sum(axis=1)  # hypergeometric: 12 on average, 2.1 of spread
    assert 1.2 < per_user.std() < 3.2


@given(counts=st.lists(st.integers(1, 25), min_size=2, max_size=12), seed=st.integers(0, 50), data=st.data())
def test_an_interaction_more_leaves_the_hashed_split_of_the_others_as_it_was(
    counts: list[int], seed: int, data: st.DataObject
) -> None:
    frame = frame_of(counts, seed=seed)
    user = data.draw(st.integers(0, len(counts) - 1))
    new = data.draw(st.sampled_from(sorted(set(range(40)) - set(frame.loc[frame["user"] == user, "item"]))))
    more = pd.concat([frame, pd.DataFrame({"user": [user], "item": [new], "timestamp": [3]})])
    more = more.sort_values(["user", "item"], ignore_index=True)
    before, after = (
        {(u, i): part for u, i, part in zip(rows["user"], rows["item"], run(rows, HASHED, seed)[0], strict=True)}
        for rows in (frame, more)
    )
    # Of the user's own, at most one changes at the end of train and one at the end of valid. Where that takes an item's
    # only training interaction, or gives it one, somebody else's held-out interaction of that item moves.
    others = {pair for pair in before if pair[0] != user and pair[1] != new}
    moved = {pair for pair in others if before[pair] != after[pair]}
    items = {item for _, item in moved}
    own = {item for owner, item in before if owner == user and before[owner, item] != after[owner, item]}
    assert items <= own
    assert len(own) <= 2
    assert len(moved) <= len(items)


def test_a_random_split_by_position_does_not_keep_that() -> None:
    frame = frame_of([12] * 20, seed=3)
    more = frame[frame.index != 0].reset_index(drop=True)
    changed = [np.mean(run(frame, split)[0][1:][12:] != run(more, split)[0][12:]) for split in (RANDOM, HASHED)]
    assert changed[0] > 0.3
    assert changed[1] == 0


def test_the_draws_of_different_users_say_nothing_of_each_other() -> None:
    frame = frame_of([40] * 60, n_items=40)
    held_out = (run(frame, HASHED)[0] == TEST).reshape(60, 40)
    per_item = held_out.sum(axis=0)  # binomial(60, 1/5) each: 12 on average, 3.1 of spread
    assert held_out.sum(axis=1).tolist() == [8] * 60
    assert 1.5 < per_item.std() < 5
    overlap = held_out.astype(int) @ held_out.T.astype(int)
    assert overlap[~np.eye(60, dtype=bool)].mean() == pytest.approx(8 * 8 / 40, abs=0.15)


@pytest.mark.parametrize("split", [RANDOM, HASHED])
def test_an_item_seen_once_always_trains(split: RandomSplit | HashedSplit) -> None:
    rows = [(0, item) for item in range(10)] + [(1, 0), (1, 1)]
    frame = pd.DataFrame(rows, columns=["user", "item"])
    parts, moved = run(frame, split)
    assert moved >= 2
    assert (parts[2:10] == TRAIN).all()


def test_leave_last_out_by_time_then_item() -> None:
    rows = [(0, 1, 30), (0, 2, 10), (0, 3, 20), (0, 4, 30), (1, 5, 2), (1, 6, 1), (2, 7, 0)]
    frame = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    assert run(frame, LAST)[0].tolist() == [VALID, TRAIN, TRAIN, TEST, TEST, TRAIN, TRAIN]


@pytest.mark.parametrize(
    "made", [partial(LeaveLastOut, kind="leave_last_out"), partial(TemporalSplit, kind="temporal", ratios=(2, 1, 1))]
)
def test_the_last_of_equal_times_is_the_larger_id_or_stands_later_in_the_file_or_is_drawn(
    made: Callable[..., LeaveLastOut | TemporalSplit],
) -> None:
    rows = [(user, item, 30, row) for user in range(40) for item, row in ((1, 9), (2, 7), (3, 8), (4, 6))]
    frame = pd.DataFrame(rows, columns=["user", "item", "timestamp", "file_row"])
    frame.loc[frame["item"] == 4, "timestamp"] = 20

    def parts_by(ties: str, seed: int = 0) -> np.ndarray:
        split = made(ties=ties)
        placed = frame.assign(place=places_in_time(frame, split, np.random.default_rng(seed), "here", NAMES))
        assert {tuple(sorted(places)) for _, places in placed.groupby("user")["place"]} == {(0, 1, 2, 3)}
        return run(placed, split)[0].reshape(40, 4)

    assert run(frame, made())[0][:4].tolist() == parts_by("id")[0].tolist() == [TRAIN, VALID, TEST, TRAIN]
    assert parts_by("file")[0].tolist() == [TEST, TRAIN, VALID, TRAIN]
    parts = parts_by("hashed")
    assert (parts[:, 3] == TRAIN).all(), "an earlier one is never held out before a later one"
    assert {tuple(user) for user in parts[:, :3].tolist()} >= {(VALID, TRAIN, TEST), (TEST, TRAIN, VALID)}
    assert (parts == parts_by("hashed")).all()
    assert (parts != parts_by("hashed", seed=1)).any()


@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=10), seed=st.integers(0, 50))
def test_temporal_split_cuts_at_the_floors(counts: list[int], seed: int) -> None:
    frame = frame_of(counts, seed=seed)
    parts, moved = run(frame, BY_TIME)
    assert moved == 0
    for user, n in enumerate(counts):
        mine = frame["user"] == user
        ordered = parts[mine][np.lexsort((frame["item"][mine], frame["timestamp"][mine]))]
        train, valid = max(int(np.floor(0.8 * n)), 1), int(np.floor(0.9 * n))
        assert ordered.tolist() == [TRAIN] * train + [VALID] * (valid - train) + [TEST] * (n - max(valid, train))


@pytest.mark.parametrize("split", [LAST, BY_TIME])
def test_a_split_by_time_needs_times(split: LeaveLastOut | TemporalSplit) -> None:
    with pytest.raises(DataError, match=r"(?s)needs timestamps.*here.*kind: random"):
        run(frame_of([3])[["user", "item"]], split)


def parts_of(frame: pd.DataFrame, split: Split) -> list[str]:
    frame = frame.assign(split=0) if split.kind == "given" else frame
    parts = split_interactions(frame, split, np.random.default_rng(0), "here", NAMES)[0]
    return require_parts(parts, frame["user"].to_numpy(), split, "here")


@pytest.mark.parametrize(
    ("counts", "split", "message"),
    [
        ([1] * 30, RANDOM, r"nothing for validation and test.*most active has 1.*needs 3 interactions"),
        ([1] * 30, WHOLE, r"nothing for validation and test.*one interaction of each user and item in train"),
        ([1] * 30, LAST, r"nothing for validation and test.*needs 3 interactions"),
        ([2] * 30, LAST, r"nothing for validation:.*needs 3 interactions"),
        ([4] * 30, BY_TIME, r"nothing for validation:.*8:1:1 a user needs 6 interactions"),
        ([3] * 30, GivenSplit(kind="given"), r"nothing for validation and test.*the source brings"),
    ],
)
def test_a_split_that_holds_nothing_out_is_refused(counts: list[int], split: Split, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        parts_of(frame_of(counts), split)


@given(n=st.integers(1, 12), split=st.sampled_from([LAST, BY_TIME]))
def test_the_length_that_is_asked_for_is_enough(n: int, split: Split) -> None:
    try:
        parts_of(frame_of([n] * 30), split)
    except DataError as error:
        needed = re.search(r"needs (\d+) interactions", str(error))
        assert needed is not None
        assert int(needed[1]) > n
        parts_of(frame_of([int(needed[1])] * 30), split)


def test_a_tiny_split_is_said() -> None:
    few = parts_of(frame_of([5] * (FEW_USERS - 1)), LAST)
    assert len(few) == 2
    assert "test has interactions of 19 users only" in few[1]
    assert parts_of(frame_of([5] * FEW_USERS), LAST) == []


@given(counts=st.lists(st.integers(1, 25), min_size=2, max_size=12), seed=st.integers(0, 50))
def test_validation_cut_from_a_given_split_is_its_share_of_training_and_leaves_test_alone(
    counts: list[int], seed: int
) -> None:
    frame = frame_of(counts, seed=seed)
    brought = np.where(np.random.default_rng(seed).random(len(frame)) < 0.2, TEST, TRAIN).astype(np.uint8)
    brought[0] = TRAIN
    parts, _ = run(frame.assign(split=brought), GivenSplit(kind="given", valid=0.1), seed)
    assert ((parts == TEST) == (brought == TEST)).all()
    trained, before = frame[parts == TRAIN], frame[brought == TRAIN]
    assert set(trained["user"]) == set(before["user"])
    assert set(trained["item"]) == set(before["item"])
    wanted, free = round(0.1 * len(before)), len(before) - before["user"].nunique() - before["item"].nunique()
    assert (parts == VALID).sum() <= wanted
    if free >= wanted:
        assert (parts == VALID).sum() == wanted
    again, _ = run(frame.assign(split=brought), GivenSplit(kind="given", valid=0.1), seed)
    assert (parts == again).all()


def test_a_source_with_validation_of_its_own_keeps_it() -> None:
    frame = frame_of([9] * 20).assign(split=np.resize([TRAIN, TRAIN, VALID], 180).astype(np.uint8))
    assert (run(frame, GivenSplit(kind="given"))[0] == frame["split"]).all()
    with pytest.raises(DataError, match=r"(?s)60 validation interactions of its own.*dataset.split.valid"):
        run(frame, GivenSplit(kind="given", valid=0.1))
