"""Errors of ratings: a slow reference in plain Python, a second opinion, properties, and bad input."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from torch import Tensor

from augrec.artefacts.errors import AugrecError, DataError
from recsys.data.dataset import Dataset
from recsys.evaluation.rating import evaluate_ratings
from recsys.evaluation.result import Evaluation

property_of = settings(max_examples=60)
sizes = st.tuples(st.integers(1, 9), st.integers(2, 14))
seeds = st.integers(0, 10_000)


def random_dataset(n_users: int, n_items: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    parts = rng.choice(4, size=(n_users, n_items), p=[0.4, 0.3, 0.1, 0.2])
    pairs = [np.argwhere(parts == part) for part in (1, 2, 3)]
    pairs[0] = pairs[0] if len(pairs[0]) else np.array([[0, 0]])
    pairs[1:] = [part[~(part == pairs[0][0]).all(axis=1)] for part in pairs[1:]]
    return Dataset.from_arrays(n_users, n_items, *pairs, ratings=[rng.integers(1, 6, len(part)) for part in pairs])


def of_table(table: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda pairs: table[pairs[:, 0], pairs[:, 1]]


def random_table(dataset: Dataset, seed: int) -> Tensor:
    """Predictions, some beyond the scale."""
    return torch.from_numpy(np.random.default_rng(seed + 1).uniform(-1, 8, (dataset.n_users, dataset.n_items)))


def by_hand(table: Tensor, dataset: Dataset, split: str, clip: bool) -> dict[str, object]:
    errors: dict[int, list[float]] = {}
    ratings, trained = dataset.ratings(split), dataset.train_ratings
    assert ratings is not None
    assert trained is not None
    for (user, item), rating in zip(dataset.pairs(split).tolist(), ratings.tolist(), strict=True):
        predicted = float(table[user, item])
        if clip:
            predicted = min(max(predicted, float(trained.min())), float(trained.max()))
        errors.setdefault(user, []).append(predicted - rating)
    every = [error for mine in errors.values() for error in mine]
    root = {user: math.sqrt(sum(e * e for e in mine) / len(mine)) for user, mine in errors.items()}
    size = {user: sum(abs(e) for e in mine) / len(mine) for user, mine in errors.items()}
    return {
        "rmse": [root.get(user, math.nan) for user in range(dataset.n_users)],
        "mae": [size.get(user, math.nan) for user in range(dataset.n_users)],
        "mean": {
            "rmse": sum(root.values()) / len(root) if root else math.nan,
            "mae": sum(size.values()) / len(size) if size else math.nan,
            "pooled_rmse": math.sqrt(sum(e * e for e in every) / len(every)) if every else math.nan,
            "pooled_mae": sum(map(abs, every)) / len(every) if every else math.nan,
        },
        "n_users": len(errors),
    }


def assert_same(a: Evaluation, b: Evaluation) -> None:
    for name, values in a.per_user.items():
        np.testing.assert_array_equal(b.per_user[name], values, err_msg=name)
    np.testing.assert_equal(a.mean, b.mean)


@property_of
@given(size=sizes, seed=seeds, split=st.sampled_from(["valid", "test"]), clip=st.booleans())
def test_the_values_are_those_of_the_slow_reference(size: tuple[int, int], seed: int, split: str, clip: bool) -> None:
    dataset = random_dataset(*size, seed)
    table = random_table(dataset, seed)
    result = evaluate_ratings(of_table(table), dataset, split, clip=clip)
    wanted = by_hand(table, dataset, split, clip)
    for name in ("rmse", "mae"):
        np.testing.assert_allclose(result.per_user[name], wanted[name], rtol=1e-12)
    assert result.mean == pytest.approx(wanted["mean"], rel=1e-12, nan_ok=True)
    assert result.n_users == wanted["n_users"]
    trained = dataset.train_ratings
    assert trained is not None
    assert result.settings == {"clipped_to": [float(trained.min()), float(trained.max())] if clip else None}


@property_of
@given(size=sizes, seed=seeds, chunk=st.integers(1, 9), clip=st.booleans())
def test_chunks_change_nothing(size: tuple[int, int], seed: int, chunk: int, clip: bool) -> None:
    dataset = random_dataset(*size, seed)
    rate = of_table(random_table(dataset, seed))
    assert_same(*(evaluate_ratings(rate, dataset, "test", clip=clip, chunk=size) for size in (None, chunk)))


@property_of
@given(size=sizes, seed=seeds)
def test_clipping_makes_no_error_larger_and_is_idle_inside_the_scale(size: tuple[int, int], seed: int) -> None:
    dataset = random_dataset(*size, seed)
    trained = dataset.train_ratings
    assert trained is not None
    # A rating beyond the training scale may be farther from what is clipped to it.
    assume(len(dataset.test) == 0 or bool(np.isin(dataset.test_ratings, trained).all()))
    table = random_table(dataset, seed)
    free, cut = (evaluate_ratings(of_table(table), dataset, "test", clip=clip) for clip in (False, True))
    for name, values in free.per_user.items():
        assert (np.nan_to_num(cut.per_user[name]) <= np.nan_to_num(values) + 1e-12).all()
    inside = table.clip(float(trained.min()), float(trained.max()))
    assert_same(*(evaluate_ratings(of_table(inside), dataset, "test", clip=clip) for clip in (False, True)))


def test_users_count_alike_in_means_and_ratings_alike_in_what_is_pooled() -> None:
    test, ratings = np.array([[0, 0], [1, 0], [1, 1], [1, 2]]), [2.0, 3.0, 3.0, 3.0]
    dataset = Dataset.from_arrays(2, 4, np.array([[0, 3]]), np.empty((0, 2)), test, ratings=([3.0], [], ratings))
    result = evaluate_ratings(lambda pairs: torch.full((len(pairs),), 4.0), dataset, "test")
    assert result.per_user["rmse"].tolist() == result.per_user["mae"].tolist() == [2.0, 1.0]
    assert result.mean["rmse"] == result.mean["mae"] == 1.5
    assert result.mean["pooled_mae"] == 5 / 4
    assert result.mean["pooled_rmse"] == pytest.approx(math.sqrt(7 / 4))


def test_another_implementation_agrees() -> None:
    dataset = random_dataset(8, 12, 3)
    table = random_table(dataset, 3)
    result = evaluate_ratings(of_table(table), dataset, "test")
    predicted = of_table(table)(torch.from_numpy(dataset.test)).numpy()
    assert result.mean["pooled_rmse"] == pytest.approx(root_mean_squared_error(dataset.test_ratings, predicted))
    assert result.mean["pooled_mae"] == pytest.approx(mean_absolute_error(dataset.test_ratings, predicted))


def test_pairs_come_in_chunks_and_on_the_device() -> None:
    dataset = random_dataset(8, 12, 3)
    seen: list[Tensor] = []

    def rate(pairs: Tensor) -> Tensor:
        seen.append(pairs)
        return torch.zeros(len(pairs))

    evaluate_ratings(rate, dataset, "test", chunk=4)
    assert [len(pairs) for pairs in seen[:-1]] == [4] * (len(seen) - 1)
    assert torch.cat(seen).tolist() == dataset.test.tolist()
    assert {(pairs.dtype, pairs.device.type) for pairs in seen} == {(torch.int64, "cpu")}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("clip", [False, True])
def test_predictions_that_are_not_finite_are_refused(value: float, clip: bool) -> None:
    test = np.array([[0, 1], [1, 0]])
    dataset = Dataset.from_arrays(2, 2, np.array([[0, 0]]), np.empty((0, 2)), test, ratings=([3.0], [], [1.0, 2.0]))
    with pytest.raises(AugrecError, match=r"(?s)not finite for 1 of 2 pairs.*user 1, item 0"):
        evaluate_ratings(lambda pairs: torch.tensor([1.0, value]), dataset, "test", clip=clip)


def test_as_many_predictions_as_pairs_are_expected() -> None:
    dataset = Dataset.from_arrays(
        1, 2, np.array([[0, 0]]), np.empty((0, 2)), np.array([[0, 1]]), ratings=([3], [], [1])
    )
    with pytest.raises(AugrecError, match=r"rated \(1, 1\), expected \(1,\)"):
        evaluate_ratings(lambda pairs: torch.zeros(len(pairs), 1), dataset, "test")


def test_data_without_ratings_and_interactions_without_one_are_errors() -> None:
    parts = np.array([[0, 0]]), np.empty((0, 2)), np.array([[0, 1], [0, 2]])
    with pytest.raises(DataError, match="no ratings"):
        evaluate_ratings(lambda pairs: torch.zeros(len(pairs)), Dataset.from_arrays(1, 3, *parts), "test")
    dataset = Dataset.from_arrays(1, 3, *parts, ratings=([np.nan], [], [4.0, np.nan]))
    with pytest.raises(DataError, match=r"(?s)1 of 2 test interactions have no rating.*user 0, item 2.*min_rating"):
        evaluate_ratings(lambda pairs: torch.zeros(len(pairs)), dataset, "test")
    with pytest.raises(ValueError, match="valid or test"):
        evaluate_ratings(lambda pairs: torch.zeros(len(pairs)), dataset, "train")
    assert math.isnan(evaluate_ratings(lambda pairs: torch.zeros(0), dataset, "valid").mean["rmse"])
