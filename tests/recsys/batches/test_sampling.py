from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from augrec.artefacts.errors import DataError
from recsys.augmentation import Edges
from recsys.batches.triplets import BprSampler, EdgeMixer, Triplets
from recsys.seeds import seeded

N_USERS, N_ITEMS = 25, 30


@pytest.fixture
def edges() -> np.ndarray:
    """Users own between 1 and 29 of 30 items; user 24 owns nothing."""
    rng = np.random.default_rng(2)
    owned = [rng.choice(N_ITEMS, size=size, replace=False) for size in [1, 29, *rng.integers(2, 20, N_USERS - 3)]]
    return np.array([(user, item) for user, items in enumerate(owned) for item in items])


def epoch(sampler: BprSampler) -> np.ndarray:
    return np.concatenate([torch.stack([b.user, b.positive, b.negative], 1).numpy() for b in sampler.epoch()])


def keys(pairs: np.ndarray) -> np.ndarray:
    return np.sort(pairs[:, 0] * N_ITEMS + pairs[:, 1])


@pytest.mark.parametrize("mode", ["interactions", "users"])
@pytest.mark.parametrize("batch_size", [7, 64])
def test_positives_are_owned_and_negatives_never(edges: np.ndarray, mode: str, batch_size: int) -> None:
    sampler = BprSampler(edges, N_USERS, N_ITEMS, batch_size=batch_size, generator=seeded(1, "x"), mode=mode)
    for _ in range(5):
        drawn = epoch(sampler)
        assert np.isin(drawn[:, 0] * N_ITEMS + drawn[:, 1], keys(edges)).all()
        assert not np.isin(drawn[:, 0] * N_ITEMS + drawn[:, 2], keys(edges)).any()
        assert drawn[:, 2].min() >= 0
        assert drawn[:, 2].max() < N_ITEMS


def test_an_epoch_passes_over_every_interaction_once_in_a_new_order(edges: np.ndarray) -> None:
    sampler = BprSampler(edges, N_USERS, N_ITEMS, batch_size=16, generator=seeded(1, "x"))
    batches = list(sampler.epoch())
    assert len(batches) == len(sampler) == -(-len(edges) // 16)
    assert [len(batch) for batch in batches[:-1]] == [16] * (len(batches) - 1)
    first, second = epoch(sampler), epoch(sampler)
    np.testing.assert_array_equal(keys(first), keys(edges))
    np.testing.assert_array_equal(keys(second), keys(edges))
    assert (first[:, :2] != second[:, :2]).any()


def test_negatives_are_uniform_over_the_items_a_user_lacks(edges: np.ndarray) -> None:
    sampler = BprSampler(edges, N_USERS, N_ITEMS, batch_size=16, generator=seeded(3, "x"))
    for user in (0, 5, 24):
        drawn = sampler.negatives(torch.full((20_000,), user)).numpy()
        free = np.setdiff1d(np.arange(N_ITEMS), edges[edges[:, 0] == user, 1])
        counts = np.bincount(drawn, minlength=N_ITEMS)
        assert counts.sum() == counts[free].sum()
        assert chisquare(counts[free]).pvalue > 1e-3


def test_the_user_scheme_draws_distinct_users_and_uniform_positives(edges: np.ndarray) -> None:
    sampler = BprSampler(edges, N_USERS, N_ITEMS, batch_size=10, generator=seeded(4, "x"), mode="users")
    batches = list(sampler.epoch())
    assert len(batches) == len(sampler) == len(edges) // 10 + 1
    assert all(len(batch) == 10 and len(batch.user.unique()) == 10 for batch in batches)
    drawn = np.concatenate([epoch(sampler) for _ in range(150)])
    assert chisquare(np.bincount(drawn[:, 0], minlength=N_USERS)[:24]).pvalue > 1e-3
    own = edges[edges[:, 0] == 5, 1]
    assert chisquare(np.bincount(drawn[drawn[:, 0] == 5, 1], minlength=N_ITEMS)[own]).pvalue > 1e-3


def test_a_batch_larger_than_the_users_repeats_them(edges: np.ndarray) -> None:
    sampler = BprSampler(edges, N_USERS, N_ITEMS, batch_size=100, generator=seeded(4, "x"), mode="users")
    assert all(len(batch) == 100 for batch in sampler.epoch())


@pytest.mark.parametrize("mode", ["interactions", "users"])
def test_a_user_who_owns_everything_is_left_out_and_counted(mode: str) -> None:
    edges = np.array([[0, item] for item in range(4)] + [[1, 0]])
    sampler = BprSampler(edges, 2, 4, batch_size=3, generator=seeded(0, "x"), mode=mode)
    assert sampler.skipped_users == 1
    assert set(epoch(sampler)[:, 0]) == {1}


@pytest.mark.parametrize("edges", [np.zeros((0, 2), dtype=np.int64), np.array([[0, 0], [0, 1]])])
def test_nobody_to_learn_from_is_an_error(edges: np.ndarray) -> None:
    with pytest.raises(DataError, match="no user has both"):
        BprSampler(edges, 1, 2, batch_size=3, generator=seeded(0, "x"))


def test_the_same_seed_draws_the_same_and_purposes_differ(edges: np.ndarray) -> None:
    draws = [
        epoch(BprSampler(edges, N_USERS, N_ITEMS, batch_size=16, generator=seeded(*key)))
        for key in ((1, "a"), (1, "a"), (2, "a"), (1, "b"))
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()
    assert (draws[0] != draws[3]).any()


def batch_of(users: list[int]) -> Triplets:
    ids = torch.tensor(users)
    return Triplets(ids, torch.zeros_like(ids), torch.ones_like(ids), None, len(ids))


def test_suggested_triplets_are_appended_with_their_own_items() -> None:
    edges = Edges.from_arrays(np.array([3, 1, 2]), np.array([13, 11, 12]), np.array([23, 21, 22]))
    mixed = EdgeMixer(edges, 5, 30, rate=1.0, generator=seeded(0, "x")).mix(batch_of([0, 1, 2, 3, 3]))
    assert mixed.observed == 5
    assert mixed.user[:5].tolist() == [0, 1, 2, 3, 3]
    added = sorted(zip(*(part[5:].tolist() for part in (mixed.user, mixed.positive, mixed.negative)), strict=True))
    assert added == [(1, 11, 21), (2, 12, 22), (3, 13, 23), (3, 13, 23)]
    assert mixed.weight is None


def test_the_rate_is_a_share_of_the_batch_rounded_down() -> None:
    edges = Edges.from_arrays(np.arange(50), np.zeros(50), np.ones(50))
    mixer = EdgeMixer(edges, 50, 30, rate=0.1, generator=seeded(0, "x"))
    mixed = mixer.mix(batch_of(list(range(49))))
    assert len(mixed) == 49 + 4
    assert len(mixed.user[49:].unique()) == 4


def test_suggestions_beyond_the_catalogue_are_counted_and_never_drawn() -> None:
    edges = Edges.from_arrays(np.array([0, 1, 2, 9]), np.array([5, 30, 5, 5]), np.array([6, 6, 31, 6]))
    mixer = EdgeMixer(edges, 3, 30, rate=1.0, generator=seeded(0, "x"))
    assert mixer.ignored == 3
    assert mixer.mix(batch_of([0, 1, 2])).user.tolist() == [0, 1, 2, 0]


def test_one_of_several_suggestions_is_drawn_uniformly_with_its_weight() -> None:
    edges = Edges.from_arrays(np.zeros(3), np.array([1, 2, 3]), np.array([4, 5, 6]), np.array([0.25, 0.5, 1.0]))
    mixer = EdgeMixer(edges, 1, 30, rate=1.0, generator=seeded(0, "x"))
    mixed = mixer.mix(batch_of([0] * 3000))
    positive, weight = mixed.positive[3000:], mixed.weight
    assert weight is not None
    assert chisquare(np.bincount(positive)[1:]).pvalue > 1e-3
    assert (weight[:3000] == 1).all()
    assert torch.equal(weight[3000:], torch.tensor([0.0, 0.25, 0.5, 1.0])[positive])
    assert (mixed.negative[3000:] == positive + 3).all()
