"""Meetings against loops in float64, and the null in worlds where popularity alone makes texts and histories alike."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from augrec.report.measures.alignment import near_in_popularity
from augrec.report.measures.meetings import GROWTH, STRATUM, Histories, strata

ITEMS, USERS = 240, 200
DRAWS = 99


def histories_of(rng: np.random.Generator, groups: np.ndarray | None = None, taste: float = 0.0) -> sp.csr_array:
    """int [users, items]: users of one taste each, items of very different popularity, each of a group."""
    popularity = np.geomspace(0.003, 0.4, ITEMS)[rng.permutation(ITEMS)]
    groups = rng.integers(0, 12, ITEMS) if groups is None else groups
    liked = groups == rng.integers(0, 12, (USERS, 1))
    chance = popularity * rng.gamma(2.0, 0.5, (USERS, 1)) * np.exp(taste * liked)
    return sp.csr_array((rng.random((USERS, ITEMS)) < chance).astype(np.int32))


def slow(matrix: np.ndarray, pairs: np.ndarray, stratum: np.ndarray) -> tuple[int, float]:
    """Observed and expected meetings, pair by pair."""
    n = matrix.shape[1]
    popularity = matrix.sum(axis=0)

    def meet(a: int, b: int) -> int:
        return sum(int(row[a] and row[b]) for row in matrix)

    observed, expected = 0, 0.0
    for a, b in pairs.tolist():
        met = weight = 0.0
        for i in range(n):
            for j in range(n):
                if i != j and stratum[i] == stratum[a] and stratum[j] == stratum[b]:
                    met, weight = met + meet(i, j), weight + float(popularity[i] * popularity[j])
        observed, expected = observed + meet(a, b), expected + popularity[a] * popularity[b] * met / weight
    return observed, expected


def test_meetings_are_those_of_a_loop_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    matrix = (rng.random((15, 14)) < np.linspace(0.1, 0.8, 14)).astype(np.int32)
    matrix[0] = 1
    found = Histories.of(sp.csr_array(matrix))
    stratum = np.arange(14) // 5
    whole = Histories.of(sp.csr_array(matrix))
    pairs = np.array([(0, 1), (2, 9), (3, 13), (12, 13)])
    assert whole.counted(pairs) == pytest.approx(slow(matrix, pairs, found.stratum), rel=1e-12)
    product = np.outer(*[np.bincount(stratum, found.popularity)] * 2) - np.diag(
        np.bincount(stratum, found.popularity**2.0)
    )
    member = np.eye(3)[stratum]
    parted = Histories(found.common, found.popularity, stratum, member.T @ found.common @ member / product)
    assert parted.counted(pairs) == pytest.approx(slow(matrix, pairs, stratum), rel=1e-12)


def test_strata_part_no_equal_popularity_and_have_enough_members() -> None:
    rng = np.random.default_rng(1)
    popularity = rng.zipf(1.6, 3000).clip(max=5000)
    found = strata(popularity)
    ordered = found[np.argsort(popularity, kind="stable")]
    assert (np.diff(ordered) >= 0).all()
    assert len(np.unique(found)) == found.max() + 1 > 4
    assert all(len(np.unique(found[popularity == value])) == 1 for value in np.unique(popularity))
    sizes = np.bincount(found)
    assert sizes.min() >= STRATUM
    for number in range(found.max()):  # a stratum wider than it has to be holds no more than it needs
        members = np.sort(popularity[found == number])
        if members[-1] >= GROWTH * members[0]:
            assert (members < members[-1]).sum() < STRATUM
    assert not strata(np.array([4, 9, 2])).any()


def test_a_permutation_moves_everybody_within_a_stratum() -> None:
    rng = np.random.default_rng(2)
    world = Histories.of(histories_of(rng))
    moved = world.permuted(rng)
    assert sorted(moved.tolist()) == list(range(len(moved)))
    assert (world.stratum[moved] == world.stratum).all()
    assert (moved != np.arange(len(moved))).mean() > 0.9


def test_all_pairs_meet_as_expected_and_permuted_ones_on_average() -> None:
    rng = np.random.default_rng(3)
    world = Histories.of(histories_of(rng, taste=1.5))
    everything = np.stack(np.triu_indices(len(world.popularity), 1), axis=1)
    observed, expected = world.counted(everything)
    assert observed == pytest.approx(expected, rel=1e-12)
    pairs = everything[rng.choice(len(everything), 400, replace=False)]
    moved = np.array([np.subtract(*world.counted(world.permuted(rng)[pairs])) for _ in range(2000)])
    assert abs(moved.mean()) < 4 * moved.std() / np.sqrt(len(moved))


def plain_p(world: Histories, pairs: np.ndarray, rng: np.random.Generator) -> float:
    """What a permutation of everybody would say."""
    n = len(world.popularity)
    observed, _ = world.counted(pairs)
    drawn = [world.counted(rng.permutation(n)[pairs])[0] for _ in range(DRAWS)]
    return (1 + sum(met >= observed for met in drawn)) / (1 + DRAWS)


def test_popularity_that_texts_show_is_no_alarm_where_a_plain_permutation_always_gives_one() -> None:
    rng = np.random.default_rng(4)
    alarms, plain = [], []
    for _ in range(100):
        world = Histories.of(histories_of(rng))
        shown = np.log1p(world.popularity) + rng.normal(0, 0.3, len(world.popularity))  # what the texts know
        pairs = near_in_popularity(np.argsort(np.argsort(shown)), 4, rng)
        alarms.append(world.meetings(pairs, rng, DRAWS).p <= 0.05)
        if len(plain) < 15:
            plain.append(plain_p(world, pairs, rng) <= 0.05)
    assert all(plain)
    assert sum(alarms) <= stats.binom.ppf(0.999, len(alarms), 0.05)


def test_what_is_called_detectable_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(5)
    groups = rng.integers(0, 12, ITEMS)
    world = Histories.of(histories_of(rng, groups, taste=1.0))
    everything = np.stack(np.triu_indices(ITEMS, 1), axis=1)
    alike = everything[groups[everything[:, 0]] == groups[everything[:, 1]]]
    observed, expected = world.counted(alike)

    def drawn(share: float) -> np.ndarray:
        own = rng.choice(len(alike), round(share * 600), replace=False)
        return np.concatenate([alike[own], everything[rng.choice(len(everything), 600 - len(own), replace=False)]])

    detectable = world.meetings(drawn(0.0), rng, 999).detectable
    assert detectable is not None
    assert 1 < detectable < observed / expected
    share = (detectable - 1) / (observed / expected - 1)  # such pairs meet so many times chance as is detectable
    found = np.mean([world.meetings(drawn(share), rng, 199).found for _ in range(60)])
    assert 0.6 < found < 0.97
    silent = np.mean([world.meetings(drawn(0.0), rng, 199).found for _ in range(60)])
    assert silent < 0.1


def test_nobody_meets_where_everybody_is_alone() -> None:
    world = Histories.of(sp.csr_array(np.eye(60, dtype=np.int32)))
    meetings = world.meetings(np.array([(0, 1), (4, 7)]), np.random.default_rng(0), 9)
    assert (meetings.observed, meetings.expected, meetings.ratio, meetings.z) == (0, 0.0, None, None)
    assert not meetings.found
    assert meetings.detectable is None
    assert meetings.reach is None
    assert meetings.p == 1.0
