"""The evaluator against a loop over users, and what must not change its result."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from recsys.data.dataset import Dataset
from recsys.evaluation.ranking import evaluate

CUTOFFS = (1, 3, 10)


def random_dataset(seed: int = 0, n_users: int = 23, n_items: int = 31) -> Dataset:
    rng = np.random.default_rng(seed)
    parts = rng.choice(4, size=(n_users, n_items), p=[0.7, 0.15, 0.05, 0.1])
    parts[3][parts[3] == 3] = 0  # a user without test items
    return Dataset.from_arrays(n_users, n_items, *(np.argwhere(parts == part) for part in (1, 2, 3)))


def table_scores(seed: int, dataset: Dataset) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((dataset.n_users, dataset.n_items)).astype(np.float32)


def scorer(table: np.ndarray):
    tensor = torch.from_numpy(table)
    return lambda users: tensor[users.cpu()]


def naive(table: np.ndarray, dataset: Dataset, masked: list[np.ndarray], k: int) -> dict[str, list[float]]:
    out: dict[str, list[float]] = {"recall": [], "precision": [], "ndcg": [], "hit_rate": [], "mrr": []}
    for user in range(dataset.n_users):
        truth = {item for u, item in dataset.test.tolist() if u == user}
        hidden = {item for part in masked for u, item in part.tolist() if u == user}
        candidates = [item for item in range(dataset.n_items) if item not in hidden]
        top = sorted(candidates, key=lambda item: -table[user, item])[:k]
        hits = [item in truth for item in top]
        dcg = sum(hit / math.log2(place + 2) for place, hit in enumerate(hits))
        ideal = sum(1 / math.log2(place + 2) for place in range(min(len(truth), k)))
        first = next((1 / (place + 1) for place, hit in enumerate(hits) if hit), 0.0)
        values = (sum(hits) / max(len(truth), 1), sum(hits) / k, dcg / (ideal or 1), float(any(hits)), first)
        for name, value in zip(out, values, strict=True):
            out[name].append(value if truth else math.nan)
    return out


@pytest.mark.parametrize("mask_valid", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_a_loop_over_users(seed: int, mask_valid: bool) -> None:
    dataset = random_dataset(seed)
    table = table_scores(seed, dataset)
    result = evaluate(scorer(table), dataset, "test", cutoffs=CUTOFFS, mask_valid_at_test=mask_valid, chunk=7)
    for k in CUTOFFS:
        expected = naive(table, dataset, [dataset.train, dataset.valid] if mask_valid else [dataset.train], k)
        for name, values in expected.items():
            np.testing.assert_allclose(result.per_user[f"{name}@{k}"], values, rtol=0, atol=1e-12)
            assert result.mean[f"{name}@{k}"] == pytest.approx(np.nanmean(values), abs=1e-12)


def test_only_users_with_truth_are_averaged() -> None:
    dataset = random_dataset()
    result = evaluate(scorer(table_scores(0, dataset)), dataset, "test", cutoffs=[3])
    with_truth = np.unique(dataset.test[:, 0])
    assert result.n_users == len(with_truth) < dataset.n_users
    assert result.per_user["recall@3"].dtype == np.float64
    assert np.array_equal(np.flatnonzero(~np.isnan(result.per_user["recall@3"])), with_truth)


def test_batch_size_changes_nothing_even_with_ties() -> None:
    dataset = random_dataset()
    coarse = np.round(table_scores(2, dataset))
    runs = [evaluate(scorer(coarse), dataset, "test", cutoffs=CUTOFFS, chunk=chunk) for chunk in (1, 5, 1000)]
    for other in runs[1:]:
        assert other.mean == runs[0].mean
        for name, values in runs[0].per_user.items():
            np.testing.assert_array_equal(other.per_user[name], values)


def test_renaming_items_changes_nothing() -> None:
    dataset = random_dataset()
    table = table_scores(3, dataset)
    new = np.random.default_rng(9).permutation(dataset.n_items)
    renamed = [np.column_stack([part[:, 0], new[part[:, 1]]]) for part in (dataset.train, dataset.valid, dataset.test)]
    other = Dataset.from_arrays(dataset.n_users, dataset.n_items, *renamed)
    moved = np.empty_like(table)
    moved[:, new] = table
    a = evaluate(scorer(table), dataset, "test", cutoffs=CUTOFFS)
    b = evaluate(scorer(moved), other, "test", cutoffs=CUTOFFS)
    assert a.mean == pytest.approx(b.mean, abs=1e-12)


def test_perfect_reversed_and_missing_lists() -> None:
    dataset = random_dataset()
    truth = np.zeros((dataset.n_users, dataset.n_items), dtype=np.float32)
    truth[dataset.test[:, 0], dataset.test[:, 1]] = 1
    noise = np.random.default_rng(0).random(truth.shape).astype(np.float32) / 2
    perfect = evaluate(scorer(truth + noise), dataset, "test", cutoffs=CUTOFFS)
    reverse = evaluate(scorer(-truth - noise), dataset, "test", cutoffs=CUTOFFS)
    for k in CUTOFFS:
        assert perfect.mean[f"ndcg@{k}"] == pytest.approx(1.0, abs=1e-12)
        assert perfect.mean[f"mrr@{k}"] == 1.0
        assert reverse.mean[f"ndcg@{k}"] < 1.0
    assert reverse.mean["recall@1"] == reverse.mean["ndcg@1"] == 0.0


def test_masked_items_never_surface_however_they_score() -> None:
    # Two items, one of them trained on: the other is the only candidate, k asks for five.
    dataset = Dataset.from_arrays(1, 2, np.array([[0, 0]]), np.empty((0, 2)), np.array([[0, 1]]))
    result = evaluate(lambda users: torch.tensor([[1e30, -1e30]]), dataset, "test", cutoffs=[1, 5])
    assert result.mean["recall@1"] == 1.0
    assert result.mean["precision@5"] == pytest.approx(0.2)
    assert result.mean["coverage@5"] == 0.5


def test_training_items_can_be_left_in() -> None:
    dataset = Dataset.from_arrays(1, 2, np.array([[0, 0]]), np.empty((0, 2)), np.array([[0, 1]]))
    scores = lambda users: torch.tensor([[2.0, 1.0]])  # noqa: E731
    assert evaluate(scores, dataset, "test", cutoffs=[1], mask_train=False).mean["recall@1"] == 0.0


def test_validation_items_are_candidates_in_validation() -> None:
    dataset = Dataset.from_arrays(1, 3, np.array([[0, 0]]), np.array([[0, 1]]), np.array([[0, 2]]))
    scores = lambda users: torch.tensor([[9.0, 5.0, 1.0]])  # noqa: E731
    assert evaluate(scores, dataset, "valid", cutoffs=[1], mask_valid_at_test=True).mean["recall@1"] == 1.0
    assert evaluate(scores, dataset, "test", cutoffs=[1], mask_valid_at_test=False).mean["recall@1"] == 0.0
    assert evaluate(scores, dataset, "test", cutoffs=[1], mask_valid_at_test=True).mean["recall@1"] == 1.0


def test_validation_never_looks_at_test() -> None:
    full = random_dataset()
    blind = Dataset.from_arrays(full.n_users, full.n_items, full.train, full.valid, np.empty((0, 2)))
    table = table_scores(1, full)
    a, b = (evaluate(scorer(table), dataset, "valid", cutoffs=[3]) for dataset in (full, blind))
    assert a.mean == b.mean


def test_nobody_with_truth_gives_nan() -> None:
    dataset = Dataset.from_arrays(2, 3, np.array([[0, 0]]), np.empty((0, 2)), np.empty((0, 2)))
    result = evaluate(lambda users: torch.zeros(len(users), 3), dataset, "test", cutoffs=[2])
    assert result.n_users == 0
    assert all(math.isnan(value) for value in result.mean.values())


def test_one_call_per_chunk_and_the_scorers_table_is_left_alone() -> None:
    dataset = random_dataset()
    table = torch.from_numpy(table_scores(0, dataset))
    before, asked = table.clone(), []

    def scores(users: Tensor) -> Tensor:
        asked.append(users.tolist())
        return table[users[0] : users[0] + len(users)] if users[-1] - users[0] == len(users) - 1 else table[users]

    evaluate(scores, dataset, "test", cutoffs=[3], chunk=3)
    flat = [user for chunk in asked for user in chunk]
    assert flat == np.unique(dataset.test[:, 0]).tolist()
    assert max(map(len, asked)) == 3
    assert torch.equal(table, before)


def test_nan_scores_name_the_user() -> None:
    dataset = random_dataset()
    table = table_scores(0, dataset)
    user = int(dataset.test[-1, 0])
    table[user, 4] = np.nan
    with pytest.raises(AugrecError, match=f"(?s)NaN.*user {user}"):
        evaluate(scorer(table), dataset, "test", cutoffs=[3])


def test_scores_of_the_wrong_shape_are_refused() -> None:
    dataset = random_dataset()
    with pytest.raises(AugrecError, match=r"expected \(\d+, 31\)"):
        evaluate(lambda users: torch.zeros(len(users), 5), dataset, "test", cutoffs=[3])


@pytest.mark.parametrize("arguments", [{"split": "train", "cutoffs": [3]}, {"split": "test", "cutoffs": []}])
def test_misuse_is_an_error(arguments: dict) -> None:
    dataset = random_dataset()
    with pytest.raises(ValueError, match=r"valid or test|cutoffs"):
        evaluate(scorer(table_scores(0, dataset)), dataset, **arguments)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_and_cpu_give_the_same_figures() -> None:
    dataset = random_dataset(4, 200, 300)
    for table in (table_scores(0, dataset), np.round(table_scores(0, dataset))):
        on_gpu = torch.from_numpy(table).cuda()
        a = evaluate(scorer(table), dataset, "test", cutoffs=CUTOFFS, chunk=64)
        b = evaluate(lambda users, t=on_gpu: t[users], dataset, "test", cutoffs=CUTOFFS, chunk=64, device="cuda")
        assert a.mean == pytest.approx(b.mean, abs=1e-12)
