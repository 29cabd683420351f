"""Folds of training interactions: what they hold out, and that one interaction moves no other."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.folds import NOWHERE, drawn_items, interaction_folds, last_item_folds

N_USERS, N_ITEMS = 30, 40


def data(train: np.ndarray, ratings: np.ndarray | None = None) -> Dataset:
    """A data set with these training pairs, in order of time, and nothing held out."""
    empty = np.empty((0, 2), dtype=np.int64)
    details = None if ratings is None else (ratings, np.empty(0), np.empty(0))
    times = (np.arange(len(train)), np.empty(0, np.int64), np.empty(0, np.int64))
    return Dataset.from_arrays(N_USERS, N_ITEMS, train, empty, empty, ratings=details, timestamps=times)


@pytest.fixture
def train() -> np.ndarray:
    """User u has 1 + u % 9 items; in an order that is not that of the ids."""
    rng = np.random.default_rng(1)
    return np.array([(user, item) for user in range(N_USERS) for item in rng.permutation(N_ITEMS)[: 1 + user % 9]])


def by_pair(dataset: Dataset, folds: np.ndarray) -> dict[tuple[int, int], int]:
    return {(int(user), int(item)): int(fold) for (user, item), fold in zip(dataset.train, folds, strict=True)}


def test_every_interaction_is_in_one_fold_and_everybody_keeps_one_in_each(train: np.ndarray) -> None:
    dataset = data(train)
    folds = interaction_folds(dataset, 3, 0)
    assert set(folds.tolist()) == {NOWHERE, 0, 1, 2}
    kept = np.flatnonzero(folds == NOWHERE)
    for user in range(N_USERS):
        own = folds[dataset.train[:, 0] == user]
        assert all((own != fold).any() for fold in range(3))
        assert (own == NOWHERE).sum() <= 1
        if len(own) == 1:
            assert own[0] == NOWHERE
    assert len(kept) < len(train) / 5


def test_folds_are_about_as_large() -> None:
    every = np.stack(np.divmod(np.arange(N_USERS * N_ITEMS), N_ITEMS), axis=1)
    sizes = np.bincount(interaction_folds(data(every), 5, 0))
    assert sizes.sum() == len(every)
    assert abs(sizes - len(every) / 5).max() < 4 * np.sqrt(len(every) * 0.2 * 0.8), "four standard deviations"


def test_a_fold_depends_on_the_pair_and_the_seed_alone(train: np.ndarray) -> None:
    dataset = data(train)
    before = by_pair(dataset, interaction_folds(dataset, 3, 0))
    for left_out in range(0, len(train), 7):
        fewer = data(np.delete(train, left_out, axis=0))
        after = by_pair(fewer, interaction_folds(fewer, 3, 0))
        gone = tuple(train[left_out].tolist())
        fold = before[gone]
        if fold == NOWHERE:
            continue
        assert {pair for pair, its in after.items() if its != fold} == {
            pair for pair, its in before.items() if its != fold
        }, "what the model without this fold is trained on"
    assert before != by_pair(dataset, interaction_folds(dataset, 3, 1))


def test_the_last_item_of_each_user_is_held_out_once(train: np.ndarray) -> None:
    dataset = data(train)
    folds = by_pair(dataset, last_item_folds(dataset, 3, 0))
    for user in range(N_USERS):
        items = [int(item) for owner, item in train if owner == user]  # in order of time
        expected = {items[-1]} if len(items) > 1 else set()
        assert {item for (owner, item), fold in folds.items() if owner == user and fold != NOWHERE} == expected
    assert set(folds.values()) == {NOWHERE, 0, 1, 2}


def test_drawn_items_are_without_interaction_and_follow_the_user(train: np.ndarray) -> None:
    dataset, users = data(train), np.array([3, 8, 17])
    pairs = drawn_items(dataset, users, 5, 0, 1)
    assert np.bincount(pairs[:, 0], minlength=N_USERS)[users].tolist() == [5, 5, 5]
    known = {tuple(pair) for pair in dataset.train.tolist()}
    assert not known & {tuple(pair) for pair in pairs.tolist()}
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
    alone = drawn_items(dataset, users[1:2], 5, 0, 1)
    np.testing.assert_array_equal(alone, pairs[pairs[:, 0] == 8])
    assert (drawn_items(dataset, users, 5, 0, 2) != pairs).any()


def test_every_item_that_is_left_is_drawn_where_there_are_few(train: np.ndarray) -> None:
    dataset = data(train)
    pairs = drawn_items(dataset, np.array([8]), N_ITEMS, 0, 0)
    assert sorted(pairs[:, 1].tolist()) == sorted(set(range(N_ITEMS)) - set(dataset.train[dataset.train[:, 0] == 8, 1]))
    assert drawn_items(dataset, np.array([], dtype=np.int64), 5, 0, 0).shape == (0, 2)


def test_items_are_drawn_evenly() -> None:
    dataset = data(np.array([(user, user) for user in range(N_USERS)]))
    counts = np.zeros(N_ITEMS)
    for seed in range(40):
        counts += np.bincount(drawn_items(dataset, np.arange(N_USERS), 10, seed, 0)[:, 1], minlength=N_ITEMS)
    expected = counts.sum() / N_ITEMS
    assert abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_data_without_a_fold_keep_the_other_ratings_and_times(train: np.ndarray) -> None:
    ratings = np.arange(len(train), dtype=np.float32)
    dataset = data(train, ratings)
    rows = interaction_folds(dataset, 3, 0) == 0
    less = dataset.without(rows)
    np.testing.assert_array_equal(less.train, dataset.train[~rows])
    assert less.train_ratings is not None
    assert dataset.train_ratings is not None
    np.testing.assert_array_equal(less.train_ratings, dataset.train_ratings[~rows])
    assert less.train_timestamps is not None
    assert len(less.train_timestamps) == (~rows).sum()
    assert less.texts("train") is None
