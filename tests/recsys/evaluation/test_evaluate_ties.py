"""Equal scores: exact, seeded, and no gift to low ids; and the official order and metrics against golden figures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from recsys.data.dataset import Dataset
from recsys.evaluation.ranking import evaluate
from recsys.evaluation.top_items import TieBreak, top_items

GOLDEN = Path(__file__).parents[2] / "golden" / "llmrec"


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
    top = top_items(torch.from_numpy(scores).to(dtype), users, k, ties)
    assert np.array_equal(top.items.numpy(), reference(scores, ties.priorities(users).numpy(), min(k, 12)))
    assert not top.values[top.values == 0].signbit().any()  # some devices sort by bits


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


def test_the_priorities_of_a_user_are_all_different() -> None:
    priorities = TieBreak.seeded(6, 300_000, 0).priorities(torch.arange(6))
    assert all(len(torch.unique(row)) == 300_000 for row in priorities)


def mixed_by_hand(word: int) -> int:
    """The finaliser of MurmurHash3 in Python's integers, which have no sign and no overflow."""
    mask = 2**32 - 1
    word &= mask
    word ^= word >> 16
    word = word * 0x85EBCA6B & mask
    word ^= word >> 13
    word = word * 0xC2B2AE35 & mask
    return word ^ word >> 16


def priority_by_hand(seed: int, user: int, item: int) -> int:
    words = hashlib.sha256(f"ties/{seed}".encode()).digest()
    of_items, of_users = (int.from_bytes(words[place : place + 4], "big") for place in (0, 4))
    unsigned = mixed_by_hand(mixed_by_hand(item + of_items) ^ mixed_by_hand(user + of_users))
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned


def test_priorities_are_the_hash_in_plain_integers() -> None:
    users, items = [0, 1, 77, 2**31 - 2], [0, 1, 255, 10_000, 2**31 - 2]
    for seed in range(8):  # the words of some begin with a one, of others with a zero
        found = TieBreak.seeded(2**31 - 1, 2**31 - 1, seed).of(
            torch.tensor(users)[:, None], torch.tensor(items)[None, :]
        )
        assert found.tolist() == [[priority_by_hand(seed, user, item) for item in items] for user in users]


@pytest.mark.parametrize("sizes", [(2**31, 5), (5, 2**31)])
def test_ids_that_32_bits_do_not_hold_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="32-bit"):
        TieBreak.seeded(*sizes, 0)


@pytest.mark.parametrize("seed", [0, 1, 7, 2**40])
def test_of_two_items_tied_for_everybody_each_is_first_for_half_of_the_users(seed: int) -> None:
    """All pairs of items near each other and far from each other; 4,000 users, so a half is within five sigma of .5."""
    n_users, n_items = 4000, 1000
    ties, users = TieBreak.seeded(n_users, n_items, seed), torch.arange(n_users)
    chosen = torch.tensor([0, 1, 2, 3, 4, 7, 8, 15, 16, 64, 255, 256, 511, 512, 998, 999])
    priorities = ties.priorities(users, chosen.expand(n_users, -1))
    first = (priorities[:, :, None] > priorities[:, None, :]).double().mean(dim=0)
    first = first[~torch.eye(len(chosen), dtype=torch.bool)]
    assert (first - 0.5).abs().max() < 5 * 0.5 / n_users**0.5


def test_a_tied_item_is_first_equally_often_over_users_and_over_seeds() -> None:
    n_items = 12
    tops = [
        top_items(torch.zeros(500, n_items), torch.arange(500), 1, TieBreak.seeded(500, n_items, seed)).items[:, 0]
        for seed in range(12)
    ]
    assert stats.chisquare(torch.bincount(torch.cat(tops), minlength=n_items).numpy()).pvalue > 1e-4
    of_one_user = torch.bincount(torch.stack([top[77] for top in tops]), minlength=n_items)
    assert of_one_user.max() <= 5
    pairs = np.bincount((tops[0][:-1] * n_items + tops[0][1:]).numpy(), minlength=n_items**2)  # neighbouring users
    assert stats.chisquare(pairs).pvalue > 1e-4


def test_a_block_of_the_catalogue_has_the_priorities_of_the_whole() -> None:
    for ties in (TieBreak.seeded(9, 30, 5), TieBreak.lower_id_first(9, 30)):
        users = torch.arange(9)
        whole = ties.priorities(users)
        assert torch.equal(ties.block(11, 23).priorities(users), whole[:, 11:23])
        assert torch.equal(ties.block(11, 23).block(2, 5).priorities(users), whole[:, 13:16])


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
