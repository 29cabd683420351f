"""What stays after thresholds, k-core and sampling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.errors import DataError
from recsys.data.filters import filtered, in_period, k_core, sampled_users, without_duplicates
from recsys.data.options import DatasetOptions


def random_pairs(seed: int, n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"user": rng.integers(0, 15, n), "item": rng.integers(0, 20, n)})
    return frame.assign(rating=rng.integers(1, 6, n).astype(np.float32), timestamp=rng.integers(0, 9, n))


def test_the_latest_of_duplicates_stays_and_the_higher_rating_at_equal_times() -> None:
    rows = [(0, 1, 5.0, 10), (0, 1, 2.0, 20), (0, 2, 3.0, 5), (0, 2, 4.0, 5), (1, 1, 1.0, 0)]
    frame = pd.DataFrame(rows, columns=["user", "item", "rating", "timestamp"])
    for order in (frame, frame.iloc[::-1]):
        kept = without_duplicates(order)
        assert kept.to_numpy().tolist() == [[0, 1, 2.0, 20], [0, 2, 4.0, 5], [1, 1, 1.0, 0]]


@given(seed=st.integers(0, 200), k=st.integers(0, 6))
def test_k_core_is_the_largest_set_with_k_each(seed: int, k: int) -> None:
    frame = without_duplicates(random_pairs(seed))
    kept = k_core(frame, k)
    for column in ("user", "item"):
        assert kept.empty or kept[column].value_counts().min() >= k
    # The textbook loop: take away one weak node at a time; the k-core does not depend on the order.
    slow = frame
    while len(slow):
        weak = [(c, v) for c in ("user", "item") for v, n in slow[c].value_counts().items() if n < k]
        if not weak:
            break
        slow = slow[slow[weak[0][0]] != weak[0][1]]
    assert kept[["user", "item"]].to_numpy().tolist() == slow[["user", "item"]].to_numpy().tolist()


def test_sampling_draws_whole_users_with_the_seed() -> None:
    frame = random_pairs(1)
    draw = lambda seed: sampled_users(frame, 5, np.random.default_rng(seed))  # noqa: E731
    assert draw(0)["user"].nunique() == 5
    assert draw(0).equals(draw(0))
    assert set(draw(0)["user"]) != set(draw(1)["user"])
    whole = frame[frame["user"].isin(draw(0)["user"])].reset_index(drop=True)
    assert draw(0).equals(whole)
    assert sampled_users(frame, 500, np.random.default_rng(0)) is frame


def test_a_share_of_the_users_is_drawn() -> None:
    frame = random_pairs(1)  # 15 users
    draw = lambda share: sampled_users(frame, share, np.random.default_rng(0))["user"].nunique()  # noqa: E731
    assert [draw(0.2), draw(0.5), draw(0.001)] == [3, 8, 1]
    whole = sampled_users(frame, 3, np.random.default_rng(0))
    assert sampled_users(frame, 0.2, np.random.default_rng(0)).equals(whole)


def test_users_may_be_drawn_before_the_core(options: Callable) -> None:
    frame = without_duplicates(random_pairs(14, 60))
    chosen = options(min_rating=2, k_core=2, sample_users=0.6, sampling="before_k_core")
    kept, dropped = filtered(frame, chosen, np.random.default_rng(7))
    rated = frame[frame["rating"] >= 2].reset_index(drop=True)
    assert kept.equals(k_core(sampled_users(rated, 9, np.random.default_rng(7)), 2))
    assert kept["user"].nunique() < 9
    assert len(frame) - sum(dropped.values()) == len(kept)
    assert "k_core" not in dropped
    after = filtered(frame, options(min_rating=2, k_core=2, sample_users=0.6), np.random.default_rng(7))[0]
    assert not kept.equals(after)


def test_each_step_counts_what_it_drops(options: Callable) -> None:
    frame = random_pairs(2, 400)
    chosen = options(min_rating=3, k_core=2, sample_users=6)
    kept, dropped = filtered(frame, chosen, np.random.default_rng(0))
    assert len(frame) - sum(dropped.values()) == len(kept)
    assert all(dropped[name] > 0 for name in ("duplicates", "below_min_rating", "users_not_sampled"))
    assert kept["rating"].min() >= 3
    assert min(kept[column].value_counts().min() for column in ("user", "item")) >= 2


def test_an_empty_core_gives_the_counts_before_it(options: Callable) -> None:
    frame = random_pairs(0)
    unique = without_duplicates(frame)
    with pytest.raises(DataError, match=rf"50-core is empty.*\b{len(unique)} interactions") as caught:
        filtered(frame, options(k_core=50), np.random.default_rng(0))
    assert "dataset.k_core" in str(caught.value)


def test_a_threshold_that_leaves_nothing_is_named(options: Callable) -> None:
    with pytest.raises(DataError, match=r"min_rating 9\.0 leaves no interactions"):
        filtered(random_pairs(0), options(min_rating=9), np.random.default_rng(0))


def test_a_threshold_without_ratings_is_refused(options: Callable) -> None:
    with pytest.raises(DataError, match="no ratings"):
        filtered(random_pairs(0)[["user", "item"]], options(min_rating=4), np.random.default_rng(0))


def options(**changes: object) -> DatasetOptions:
    content = {"name": "x", "source": {"format": "ml-100k", "path": "nowhere"}, "split": {"kind": "random"}}
    return DatasetOptions.model_validate(content | changes)


@given(seed=st.integers(0, 50), share=st.floats(0.01, 0.99))
def test_two_periods_that_meet_have_everything_and_nothing_in_common(seed: int, share: float) -> None:
    frame = random_pairs(seed)
    before = in_period(frame, options(period={"until": share}))
    after = in_period(frame, options(period={"since": share}))
    assert len(before) + len(after) == len(frame)
    assert before.empty or before["timestamp"].max() < after["timestamp"].min()
    assert len(before) <= share * len(frame)  # times repeat: what has the time of the moment comes after it
    first = sorted(frame["timestamp"])[int(share * len(frame))]
    assert after["timestamp"].min() == first


def test_a_day_begins_at_midnight_in_greenwich() -> None:
    second = 1_514_764_800  # date -u -d 2018-01-01 +%s
    times = [second - 1, second, second + 86_399, second + 86_400]
    frame = pd.DataFrame({"user": range(4), "item": range(4), "timestamp": times})
    assert in_period(frame, options(period={"since": "2018-01-01"}))["user"].tolist() == [1, 2, 3]
    assert in_period(frame, options(period={"until": "2018-01-01"}))["user"].tolist() == [0]
    day = options(period={"since": "2018-01-01", "until": "2018-01-02"})
    assert in_period(frame, day)["user"].tolist() == [1, 2]
    mixed = options(period={"since": 0.5, "until": "2018-01-02"})
    assert in_period(frame, mixed)["user"].tolist() == [2]


def test_an_early_interaction_is_no_duplicate_of_one_outside_the_period() -> None:
    frame = pd.DataFrame({"user": [0, 0], "item": [1, 1], "timestamp": [10, 99]})
    kept, dropped = filtered(frame, options(period={"until": 0.5}), np.random.default_rng(0))
    assert kept["timestamp"].tolist() == [10]
    assert dropped["outside_period"] == 1
    assert dropped["duplicates"] == 0


def test_a_period_needs_times_and_holds_something() -> None:
    frame = pd.DataFrame({"user": [0], "item": [1], "timestamp": [10]})
    with pytest.raises(DataError, match=r"dataset\.period is given but the data has no timestamps"):
        in_period(frame.drop(columns="timestamp"), options(period={"until": 0.5}))
    with pytest.raises(DataError, match=r"none of the 1 interactions lies in dataset\.period"):
        filtered(frame, options(period={"since": "2018-01-01"}), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("period", "message"),
    [
        ({}, "a period has a beginning"),
        ({"since": 2018}, "2018 is no moment; write a day such as 2018-01-01"),
        ({"since": 1.5}, "1.5 is no moment"),
        ({"since": "soon"}, "since"),
        ({"since": 0.7, "until": 0.7}, "ends .0.7. before it begins"),
        ({"since": "2019-01-01", "until": "2018-01-01"}, "ends .2018-01-01. before it begins"),
    ],
)
def test_what_is_no_period_is_refused(period: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options(period=period)


def test_a_period_makes_times_needed() -> None:
    assert options(period={"until": 0.5}).needs_time
    assert not options().needs_time
