"""Equal scores: exact, seeded, and no gift to low ids; and the official order and metrics against golden figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.data.dataset import Dataset
from recsys.evaluate import evaluate
from recsys.ranking import TieBreak, top_items

GOLDEN = Path(__file__).parents[1] / "golden" / "llmrec"


def reference(scores: np.ndarray, priorities: np.ndarray, k: int) -> np.ndarray:
    return np.stack([np.lexsort((-p, -s))[:k] for s, p in zip(scores, priorities, strict=True)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("k", [1, 4, 12, 40])
def test_top_items_equals_sorting_by_score_and_priority(dtype: torch.dtype, k: int) -> None:
    rng = np.random.default_rng(k)
    scores = np.round(rng.standard_normal((30, 12)) * 1.5)
    scores[0] = np.where(rng.random(12) < 0.5, 0.0, -0.0)  # equal, whatever their bits
    scores[1] = rng.permutation(12) - 6
    scores[2] = [np.inf, np.inf, 1e30 if dtype != torch.float16 else 1e4, *[-5.0] * 9]
    users, ties = torch.arange(30), TieBreak.seeded(30, 12, 3)
    top = top_items(torch.from_numpy(scores).to(dtype), users, k, ties).items
    assert np.array_equal(top.numpy(), reference(scores, ties.priorities(users).numpy(), min(k, 12)))


def test_scores_that_differ_in_the_last_bit_are_not_ties() -> None:
    base = np.float32(20.0)
    scores = np.full((1, 50), base, dtype=np.float32)
    scores[0, 37] = np.nextafter(base, np.float32(99))
    scores[0, 11] = np.nextafter(base, np.float32(0))
    for seed in range(5):
        ranked = top_items(torch.from_numpy(scores), torch.tensor([0]), 50, TieBreak.seeded(1, 50, seed))
        top = ranked.items[0].tolist()
        assert top[0] == 37
        assert top[-1] == 11


def test_masked_items_leave_empty_places_at_the_end() -> None:
    scores = torch.tensor([[1.0, -torch.inf, 1.0, -torch.inf]])
    top = top_items(scores, torch.tensor([0]), 4, TieBreak.lower_id_first(1, 4))
    assert top.items.tolist() == [[0, 2, -1, -1]]
    assert top.values.tolist() == [[1.0, 1.0, -torch.inf, -torch.inf]]


def test_priorities_are_a_permutation_of_the_items_for_every_user() -> None:
    ties = TieBreak.seeded(6, 9, 0)
    assert (np.sort(ties.priorities(torch.arange(6)).numpy(), axis=1) == np.arange(9)).all()


def popularity_sorted(n_users: int = 400, n_items: int = 100) -> Dataset:
    """Ids in order of popularity, as many sources have them: a low id is a popular item."""
    rng = np.random.default_rng(0)
    weights = 1 / (1 + np.arange(n_items))
    test = [(u, i) for u in range(n_users) for i in rng.choice(n_items, 3, replace=False, p=weights / weights.sum())]
    return Dataset.from_arrays(n_users, n_items, np.empty((0, 2)), np.empty((0, 2)), np.array(test))


def test_a_constant_scorer_is_chance_and_not_popularity() -> None:
    dataset = popularity_sorted()
    constant = lambda users: torch.zeros(len(users), dataset.n_items)  # noqa: E731
    seeded = evaluate(constant, dataset, "test", cutoffs=[10])
    by_id = evaluate(constant, dataset, "test", cutoffs=[10], official=True)
    assert seeded.mean["recall@10"] == pytest.approx(0.10, abs=0.03)
    assert by_id.mean["recall@10"] > 0.4
    assert seeded.mean["coverage@10"] == 1.0
    assert by_id.mean["coverage@10"] == 0.1


def test_the_tie_seed_decides_and_repeats() -> None:
    dataset = popularity_sorted(50, 20)
    constant = lambda users: torch.zeros(len(users), 20)  # noqa: E731
    first, again, other = (evaluate(constant, dataset, "test", cutoffs=[5], tie_seed=seed) for seed in (1, 1, 2))
    assert first.mean == again.mean
    assert not np.array_equal(first.per_user["recall@5"], other.per_user["recall@5"])


def test_official_protocol_gives_the_golden_figures() -> None:
    with np.load(GOLDEN / "expected.npz") as expected:
        figures = {name: expected[f"metrics_init/{name}"] for name in ("precision", "recall", "ndcg", "hit_ratio")}
        users, items = (torch.from_numpy(expected[f"forward/final_{side}"]) for side in ("user", "item"))
    train, valid, test = (_pairs(name) for name in ("train", "val", "test"))
    dataset = Dataset.from_arrays(len(users), len(items), train, valid, test)
    cutoffs = (10, 20, 50)
    result = evaluate(lambda batch: users[batch] @ items.T, dataset, "test", cutoffs=cutoffs, official=True)
    for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("ndcg", "ndcg"), ("hit_rate", "hit_ratio")):
        np.testing.assert_allclose([result.mean[f"{ours}@{k}"] for k in cutoffs], figures[theirs], rtol=0, atol=1e-9)


def _pairs(name: str) -> np.ndarray:
    lists = json.loads((GOLDEN / "release" / f"{name}.json").read_text())
    return np.array([(int(user), item) for user, row in lists.items() for item in row])
