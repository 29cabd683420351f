"""Suggested triplets in the pool of an epoch: each once, with its own negative, beside the same observed ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from recsys.augmentation import Edges
from recsys.batches.edge_pool import EdgePool
from recsys.batches.triplets import BprSampler, TripletBatches
from recsys.seeds import seeded

N_USERS, N_ITEMS = 20, 15
PAIRS = np.array([(user, (user + k) % N_ITEMS) for user in range(N_USERS) for k in range(4)])


def sampler() -> BprSampler:
    return BprSampler(PAIRS, N_USERS, N_ITEMS, batch_size=16, generator=seeded(1, "sampler"))


def edges(weight: np.ndarray | None = None) -> Edges:
    users = np.arange(11)
    return Edges.from_arrays(users, users, (users + 9) % N_ITEMS, weight)


def pool(suggested: Edges, seed: int = 0) -> EdgePool:
    return EdgePool(suggested, N_USERS, N_ITEMS, generator=seeded(seed, "edges"))


def triplets_of(batch: object, rows: slice) -> list[tuple[int, int, int]]:
    columns = (getattr(batch, name)[rows].tolist() for name in ("user", "positive", "negative"))
    return list(zip(*columns, strict=True))


def test_every_suggestion_stands_once_per_epoch_with_its_own_negative() -> None:
    batches = TripletBatches(sampler(), pool(edges()))
    expected = sorted((user, user, (user + 9) % N_ITEMS) for user in range(11))
    places = []
    for _ in range(3):
        epoch = list(batches.epoch())
        assert len(epoch) == 5
        suggested = [triplets_of(batch, slice(batch.observed, None)) for batch in epoch]
        assert sorted(triplet for part in suggested for triplet in part) == expected
        places.append([len(part) for part in suggested])
    assert places[0] != places[1], "dealt anew"


def test_observed_triplets_are_those_without_suggestions() -> None:
    alone = [triplets_of(batch, slice(None)) for batch in TripletBatches(sampler()).epoch()]
    joined = [triplets_of(batch, slice(batch.observed)) for batch in TripletBatches(sampler(), pool(edges())).epoch()]
    assert alone == joined


def test_suggestions_fall_into_every_batch_alike() -> None:
    counts: Counter[int] = Counter()
    for seed in range(200):
        for place, batch in enumerate(TripletBatches(sampler(), pool(edges(), seed)).epoch()):
            counts[place] += len(batch) - batch.observed
    assert sum(counts.values()) == 200 * 11
    assert max(abs(count - 440) for count in counts.values()) < 5 * np.sqrt(440)


def test_weights_join_those_of_observed_triplets() -> None:
    weight = np.linspace(0.1, 1, 11, dtype=np.float32)
    found = {}
    for batch in TripletBatches(sampler(), pool(edges(weight))).epoch():
        assert batch.weight is not None
        assert (batch.weight[: batch.observed] == 1).all()
        rows = slice(batch.observed, None)
        found |= dict(zip(batch.user[rows].tolist(), batch.weight[rows].tolist(), strict=True))
    assert found == dict(enumerate(weight.tolist()))


def test_suggestions_beyond_the_catalogue_are_left_out_and_told() -> None:
    users = np.array([0, 1, 25])
    suggested = Edges.from_arrays(users, np.array([1, 99, 1]), np.array([2, 2, 2]))
    batches = TripletBatches(sampler(), pool(suggested))
    assert "3 suggested triplets, 2 of them ignored (unknown user or item)" in batches.notes
    added = [triplets_of(batch, slice(batch.observed, None)) for batch in batches.epoch()]
    assert [triplet for part in added for triplet in part] == [(0, 1, 2)]
    assert all(part.dtype == torch.int64 for batch in batches.epoch() for part in (batch.user, batch.negative))
