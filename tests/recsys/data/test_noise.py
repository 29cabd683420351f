"""False training interactions: what is drawn, what is left out, and what a model sees of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from augrec.artefacts.errors import DataError, UsageError
from recsys.data.dataset import Dataset
from recsys.data.noise import false_interactions, read_noise, with_false_interactions, write_noise


def sparse(seed: int = 0, users: int = 40, items: int = 60, held_out: int = 80) -> Dataset:
    """400 training interactions and some held out on either side, no two alike."""
    rng = np.random.default_rng(seed)
    keys = rng.permutation(users * items)[: 400 + 2 * held_out]
    pairs = np.stack([keys // items, keys % items], axis=1)
    parts = np.split(pairs, [400, 400 + held_out])
    times = [np.arange(len(part)) + 1_000 for part in parts]
    return Dataset.from_arrays(users, items, *parts, timestamps=times, ratings=[np.full(len(p), 4.0) for p in parts])


def pairs_of(array: np.ndarray) -> set[tuple[int, int]]:
    return {(int(user), int(item)) for user, item in array}


def slow_draw(dataset: Dataset, share: float, seed: int) -> list[tuple[int, int]]:
    """Pair by pair, with the stream and the blocks that trainings have been drawn with."""
    rng, train = np.random.default_rng([seed, 0xFA15E]), pairs_of(dataset.train)
    drawn: list[tuple[int, int]] = []
    while len(drawn) < int(share * len(train)):
        users = rng.integers(dataset.n_users, size=65_536)
        items = rng.integers(dataset.n_items, size=65_536)
        for user, item in zip(users.tolist(), items.tolist(), strict=True):
            if (user, item) not in train and (user, item) not in drawn and len(drawn) < int(share * len(train)):
                drawn.append((user, item))
    held_out = pairs_of(dataset.valid) | pairs_of(dataset.test)
    return [pair for pair in drawn if pair not in held_out]


@pytest.mark.parametrize("share", [0.05, 0.25, 0.9])
def test_the_draw_is_that_of_the_slow_reference(share: float) -> None:
    dataset = sparse()
    noise = false_interactions(dataset, share, 7)
    assert [tuple(pair) for pair in noise.pairs.tolist()] == slow_draw(dataset, share, 7)
    assert len(noise.pairs) + noise.held_out == int(share * 400)


def test_a_pair_that_is_held_out_is_left_out_and_counted() -> None:
    dataset = sparse(held_out=400)  # a third of all pairs that are not in train
    noise = false_interactions(dataset, 0.9, 1)
    every = np.concatenate([dataset.train, dataset.valid, dataset.test])
    assert noise.held_out > 50
    assert not pairs_of(noise.pairs) & pairs_of(every)


def test_what_is_held_out_changes_nothing_but_what_is_left_out() -> None:
    dataset = sparse()
    bare = Dataset.from_arrays(40, 60, dataset.train, np.empty((0, 2)), np.empty((0, 2)))
    drawn, noise = false_interactions(bare, 0.5, 3), false_interactions(dataset, 0.5, 3)
    held_out = pairs_of(dataset.valid) | pairs_of(dataset.test)
    assert drawn.held_out == 0
    assert [pair for pair in map(tuple, drawn.pairs.tolist()) if pair not in held_out] == [
        tuple(pair) for pair in noise.pairs.tolist()
    ]


def test_with_one_seed_less_noise_is_the_beginning_of_more() -> None:
    dataset = sparse()
    few, many = (false_interactions(dataset, share, 2).pairs for share in (0.1, 0.4))
    assert len(few) < len(many)
    np.testing.assert_array_equal(few, many[: len(few)])
    assert pairs_of(false_interactions(dataset, 0.1, 3).pairs) != pairs_of(few)


def test_the_data_set_keeps_all_it_has() -> None:
    dataset = sparse()
    noise = false_interactions(dataset, 0.2, 2)
    larger = with_false_interactions(dataset, noise.pairs)
    assert pairs_of(larger.train) == pairs_of(dataset.train) | pairs_of(noise.pairs)
    for split in ("valid", "test"):
        np.testing.assert_array_equal(larger.pairs(split), dataset.pairs(split))
        np.testing.assert_array_equal(larger.timestamps(split), dataset.timestamps(split))
    times, ratings = larger.timestamps("train"), larger.ratings("train")
    assert times is not None
    assert ratings is not None
    before = dataset.timestamps("train")
    assert before is not None
    for (user, item), time, rating in zip(larger.train.tolist(), times, ratings, strict=True):
        own = dataset.train[:, 0] == user
        if (user, item) in pairs_of(noise.pairs):
            assert np.isnan(rating)
            assert time == (before[own].max() if own.any() else before.min())
        else:
            assert rating == 4.0
            assert time == before[own & (dataset.train[:, 1] == item)][0]


@pytest.mark.parametrize("sealed", [False, True])
def test_who_has_no_training_interaction_gets_the_earliest_time_and_place(sealed: bool) -> None:
    parts = np.array([[0, 0], [0, 1], [1, 0]]), np.array([[2, 0]]), np.array([[2, 1]])
    times, places = ([np.array(of) for of in clock] for clock in ([[5, 9, 7], [1], [2]], [[3, 4, 2], [0], [1]]))
    dataset = Dataset.from_arrays(3, 3, *parts, timestamps=times, places=places)
    larger = with_false_interactions(dataset.sealed() if sealed else dataset, np.array([[2, 2], [0, 2]]))
    assert larger.train.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [2, 2]]
    for clock, expected in ((larger.timestamps, [5, 9, 9, 7, 5]), (larger.places, [3, 4, 4, 2, 2])):
        assert np.asarray(clock("train")).tolist() == expected
    assert larger.is_sealed == sealed
    assert larger.valid.tolist() == [[2, 0]]


def test_nothing_is_asked_for_and_nothing_changes() -> None:
    dataset = sparse()
    nothing = false_interactions(dataset, 0.0, 1)
    assert (nothing.pairs.shape, nothing.held_out) == ((0, 2), 0)
    assert not len(false_interactions(dataset, 0.001, 1).pairs)  # less than one
    assert with_false_interactions(dataset, np.zeros((0, 2), np.int64)) is dataset


def test_a_true_interaction_is_no_false_one() -> None:
    dataset = sparse()
    with pytest.raises(DataError, match="occur twice"):
        with_false_interactions(dataset, dataset.test[:1])


def test_more_than_half_of_what_is_free_is_refused() -> None:
    full = np.stack(np.divmod(np.arange(90), 10), axis=1)
    dataset = Dataset.from_arrays(10, 10, full, np.empty((0, 2)), np.empty((0, 2)))
    with pytest.raises(UsageError, match=r"training.noise 0.1 asks for 9 false .* only 10 pairs"):
        false_interactions(dataset, 0.1, 0)
    assert len(false_interactions(dataset, 5 / 90, 0).pairs) == 5


def test_files(tmp_path: Path) -> None:
    pairs = np.array([[3, 1], [0, 2]])
    write_noise(tmp_path / "noise.parquet", pairs)
    np.testing.assert_array_equal(read_noise(tmp_path / "noise.parquet"), pairs)
    write_noise(tmp_path / "noise.parquet", pairs[:0])
    assert not (tmp_path / "noise.parquet").exists()
    assert not len(read_noise(tmp_path / "noise.parquet"))
