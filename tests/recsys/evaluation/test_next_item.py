"""The next item: a slow reference in plain Python, hand-made cases, and properties over random data."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from augrec.artefacts.errors import AugrecError, DataError
from augrec.artefacts.interactions import SPLITS
from recsys.data.dataset import Dataset
from recsys.evaluation.next_item import evaluate_next_item, next_items

CUTOFFS = (1, 3, 5)
property_of = settings(max_examples=60)
sizes = st.tuples(st.integers(1, 9), st.integers(2, 14))
seeds = st.integers(0, 10_000)


def random_dataset(n_users: int, n_items: int, seed: int, *, repeated_times: bool = True) -> Dataset:
    """Some users have several held-out interactions, some none; times repeat."""
    rng = np.random.default_rng(seed)
    parts = rng.choice(4, size=(n_users, n_items), p=[0.5, 0.25, 0.1, 0.15])
    pairs = [np.argwhere(parts == part) for part in (1, 2, 3)]
    times = [rng.integers(0, 4 if repeated_times else 10**6, len(part)) for part in pairs]
    return Dataset.from_arrays(n_users, n_items, *pairs, timestamps=times)


def random_scores(dataset: Dataset, seed: int) -> Tensor:
    shape = dataset.n_users, dataset.n_items
    order = np.random.default_rng(seed).permutation(math.prod(shape)).reshape(shape)
    return torch.from_numpy(order.astype(np.float32))


def by_hand(scores: Tensor, dataset: Dataset, split: str, mask_known: bool) -> dict[str, list[float]]:
    """Every user's values by sorting lists; scores are distinct."""
    values: dict[str, list[float]] = {f"{name}@{k}": [] for k in CUTOFFS for name in ("hit_rate", "ndcg", "mrr")}
    context = SPLITS[: SPLITS.index(split)]
    for user in range(dataset.n_users):
        held_out = [
            (int(time), int(item))
            for (owner, item), time in zip(dataset.pairs(split), dataset.timestamps(split), strict=True)  # type: ignore[arg-type]
            if owner == user
        ]
        known = {int(item) for part in context for owner, item in dataset.pairs(part) if owner == user}
        ranked = sorted(range(dataset.n_items), key=lambda item: -float(scores[user, item]))
        ranked = [item for item in ranked if not mask_known or item not in known]
        for k in CUTOFFS:
            rank = ranked.index(min(held_out)[1]) + 1 if held_out else 0
            hit = 0 < rank <= k
            found = (float(hit), 1 / math.log2(rank + 1) if hit else 0.0, 1 / rank if hit else 0.0)
            for name, value in zip(("hit_rate", "ndcg", "mrr"), found, strict=True):
                values[f"{name}@{k}"].append(value if held_out else math.nan)
    return values


@property_of
@given(size=sizes, seed=seeds, split=st.sampled_from(["valid", "test"]), mask=st.booleans(), chunk=st.integers(1, 10))
def test_the_values_are_those_of_the_slow_reference(
    size: tuple[int, int], seed: int, split: str, mask: bool, chunk: int
) -> None:
    dataset = random_dataset(*size, seed)
    scores = random_scores(dataset, seed)
    result = evaluate_next_item(
        lambda users: scores[users], dataset, split, cutoffs=CUTOFFS, mask_known=mask, chunk=chunk
    )
    wanted = by_hand(scores, dataset, split, mask)
    assert list(result.per_user) == list(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(result.per_user[name], values, rtol=1e-12, err_msg=name)
        judged = [value for value in values if not math.isnan(value)]
        np.testing.assert_allclose(result.mean[name], np.mean(judged) if judged else math.nan, rtol=1e-12)
    assert result.n_users == len({int(user) for user, _ in dataset.pairs(split)})
    assert result.settings == {"known_items": "masked" if mask else "candidates"}


@property_of
@given(size=sizes, seed=seeds, split=st.sampled_from(["valid", "test"]))
def test_the_next_item_is_the_first_of_its_split_in_time(size: tuple[int, int], seed: int, split: str) -> None:
    dataset = random_dataset(*size, seed)
    first: dict[int, tuple[int, int]] = {}
    for (user, item), time in zip(dataset.pairs(split).tolist(), dataset.timestamps(split), strict=True):  # type: ignore[arg-type]
        first[user] = min(first.get(user, (int(time), item)), (int(time), item))
    assert next_items(dataset, split).tolist() == [[user, item] for user, (_, item) in sorted(first.items())]


def test_ndcg_and_mrr_of_a_hand_made_list() -> None:
    dataset = Dataset.from_arrays(1, 6, np.array([[0, 0]]), np.array([[0, 1]]), np.array([[0, 4]]))
    scores = torch.tensor([[9.0, 8.0, 7.0, 1.0, 3.0, 5.0]])  # of the candidates 2, 5, 4, 3 the item 4 is third
    result = evaluate_next_item(lambda users: scores[users], dataset, "test", cutoffs=(2, 3))
    assert result.mean["hit_rate@2"] == result.mean["ndcg@2"] == result.mean["mrr@2"] == 0
    assert result.mean["hit_rate@3"] == 1
    assert result.mean["ndcg@3"] == pytest.approx(1 / math.log2(4))
    assert result.mean["mrr@3"] == pytest.approx(1 / 3)
    assert result.mean["coverage@2"] == pytest.approx(2 / 6)
    unmasked = evaluate_next_item(lambda users: scores[users], dataset, "test", cutoffs=(5,), mask_known=False)
    assert unmasked.mean["mrr@5"] == pytest.approx(1 / 5)  # behind 0, 1, 2 and 5


def test_a_query_of_validation_hides_training_items_alone() -> None:
    dataset = Dataset.from_arrays(1, 3, np.array([[0, 0]]), np.array([[0, 1]]), np.array([[0, 2]]))
    scores = torch.tensor([[3.0, 1.0, 2.0]])
    result = evaluate_next_item(lambda users: scores[users], dataset, "valid", cutoffs=(1, 2))
    assert (result.mean["hit_rate@1"], result.mean["hit_rate@2"]) == (0, 1)  # the test item 2 stands before it


def test_later_items_of_the_split_stay_candidates() -> None:
    test = np.array([[0, 1], [0, 2]])
    dataset = Dataset.from_arrays(1, 3, np.array([[0, 0]]), np.empty((0, 2)), test, timestamps=([1], [], [9, 5]))
    scores = torch.tensor([[0.0, 5.0, 1.0]])
    result = evaluate_next_item(lambda users: scores[users], dataset, "test", cutoffs=(1, 2))
    assert (result.mean["hit_rate@1"], result.mean["mrr@2"]) == (0, 0.5)


def test_several_items_without_times_are_an_error_and_single_ones_are_not() -> None:
    train, none = np.array([[0, 0], [1, 0]]), np.empty((0, 2))
    with pytest.raises(DataError, match=r"(?s)user 1 has several test interactions.*leave_last_out"):
        next_items(Dataset.from_arrays(2, 3, train, none, np.array([[0, 1], [1, 1], [1, 2]])), "test")
    single = Dataset.from_arrays(2, 3, train, none, np.array([[0, 1], [1, 2]]))
    assert next_items(single, "test").tolist() == [[0, 1], [1, 2]]
    with pytest.raises(ValueError, match="valid or test"):
        next_items(single, "train")


def test_nobody_with_a_next_item_gives_nan() -> None:
    dataset = Dataset.from_arrays(1, 2, np.array([[0, 0]]), np.empty((0, 2)), np.empty((0, 2)))
    result = evaluate_next_item(lambda users: torch.zeros(len(users), 2), dataset, "test", cutoffs=(1,))
    assert result.n_users == 0
    assert all(math.isnan(value) for value in result.mean.values())


def test_only_the_named_users_are_judged() -> None:
    dataset = random_dataset(8, 12, 5)
    scores = random_scores(dataset, 5)
    everyone = evaluate_next_item(lambda users: scores[users], dataset, "test", cutoffs=(3,))
    half = evaluate_next_item(lambda users: scores[users], dataset, "test", cutoffs=(3,), users=np.arange(4))
    np.testing.assert_array_equal(half.per_user["ndcg@3"][:4], everyone.per_user["ndcg@3"][:4])
    assert np.isnan(half.per_user["ndcg@3"][4:]).all()


def test_scores_that_are_nan_are_refused() -> None:
    dataset = Dataset.from_arrays(1, 2, np.array([[0, 0]]), np.empty((0, 2)), np.array([[0, 1]]))
    with pytest.raises(AugrecError, match="hold NaN"):
        evaluate_next_item(lambda users: torch.full((len(users), 2), math.nan), dataset, "test", cutoffs=(1,))
