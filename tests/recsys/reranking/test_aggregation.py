"""Equations 4 to 6 against a slow reading of them in plain Python, and what the paper says follows from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.reranking.aggregation import Judgement, Reading, Utility, Weights, combined, of_places, reranked, stretched

seeds = st.integers(0, 100_000)
utilities = st.sampled_from(["linear", "reciprocal"])
many = settings(max_examples=120, deadline=None)


def slow_alpha(counts: list[int], b1: float, b2: float, reading: Reading) -> list[float]:
    logs = [math.log(count + 1) for count in counts]
    alphas = []
    for own in logs:
        share = 1.0 if max(logs) == min(logs) else (max(logs) - own) / (max(logs) - min(logs))
        alphas.append(b1 * max(share, b2) if reading == "scaled" else max(b1 * share, b2))
    return alphas


def slow_list(items: list[int], values: list[float], places: bool, alpha: float, utility: Utility) -> list[int]:
    """One list after the other, one item after the other."""
    there = [item for item in items[: len(values)] if item >= 0]

    def worth(place: float) -> float:
        return -place if utility == "linear" else 1 / place

    def squeezed(numbers: list[float]) -> list[float]:
        known = [number for number in numbers if not math.isnan(number)]
        if not known or max(known) == min(known):
            return [number if math.isnan(number) else 0.0 for number in numbers]
        return [(number - min(known)) / (max(known) - min(known)) for number in numbers]

    mine = [worth(place) for place in range(1, len(there) + 1)]
    theirs = [worth(value) if places else value for value in values[: len(there)]]
    if not places:
        mine, theirs = squeezed(mine), squeezed(theirs)
    total = {}
    for item, own, other in zip(there, mine, theirs, strict=True):
        total[item] = own if math.isnan(other) else alpha * other + (1 - alpha) * own
    best = sorted(there, key=lambda item: (-round(total[item], 12), there.index(item)))
    return best + items[len(there) :]


def random_lists(seed: int) -> tuple[np.ndarray, Judgement, np.ndarray]:
    """Lists of different lengths, some judged in part, some by nobody; places that may be means or left out."""
    rng = np.random.default_rng(seed)
    n, m, k = rng.integers(1, 7), 8, rng.integers(1, 8)
    items = np.array([rng.permutation(30)[:m] for _ in range(n)])
    for row, length in enumerate(rng.integers(1, m + 1, n)):
        items[row, length:] = -1
    places = bool(rng.integers(2))
    values = np.array([rng.permutation(k) + 1.0 for _ in range(n)]) if places else rng.integers(1, 6, (n, k)) * 1.0
    values[rng.random((n, k)) < 0.1] = k + 1.0 if places else np.nan
    values[rng.random(n) < 0.2] = np.nan
    return items, Judgement(values, places), rng.choice([0, 0.1, 0.3, 0.5, 0.9, 1], n)


@many
@given(seeds, utilities)
def test_lists_are_those_of_the_slow_reading(seed: int, utility: Utility) -> None:
    items, judged, alpha = random_lists(seed)
    found = reranked(items, judged, alpha, utility)
    slow = [
        slow_list(row.tolist(), values.tolist(), judged.places, float(weight), utility)
        for row, values, weight in zip(items, judged.values, alpha, strict=True)
    ]
    assert found.tolist() == slow


@many
@given(seeds, utilities)
def test_a_list_keeps_its_items_and_what_lies_behind_the_judged_ones(seed: int, utility: Utility) -> None:
    items, judged, alpha = random_lists(seed)
    found, size = reranked(items, judged, alpha, utility), judged.values.shape[1]
    np.testing.assert_array_equal(np.sort(found[:, :size], axis=1), np.sort(items[:, :size], axis=1))
    np.testing.assert_array_equal(found[:, size:], items[:, size:])
    np.testing.assert_array_equal(found < 0, items < 0)


@many
@given(seeds, utilities)
def test_without_weight_or_answer_the_list_is_the_recommenders(seed: int, utility: Utility) -> None:
    items, judged, alpha = random_lists(seed)
    np.testing.assert_array_equal(reranked(items, judged, np.zeros(len(items)), utility), items)
    silent = Judgement(np.full_like(judged.values, np.nan), judged.places)
    np.testing.assert_array_equal(reranked(items, silent, alpha, utility), items)


@many
@given(seeds, utilities)
def test_with_all_the_weight_the_list_is_the_language_models(seed: int, utility: Utility) -> None:
    rng = np.random.default_rng(seed)
    items = np.array([rng.permutation(30)[:6] for _ in range(4)])
    order = np.array([rng.permutation(6) for _ in range(4)])
    places = np.argsort(order, axis=1) + 1.0
    found = reranked(items, Judgement(places, True), np.ones(4), utility)
    np.testing.assert_array_equal(found, np.take_along_axis(items, order, axis=1))


@pytest.mark.parametrize("utility", ["linear", "reciprocal"])
def test_who_agrees_with_the_recommender_changes_nothing(utility: Utility) -> None:
    items = np.arange(40).reshape(4, 10)
    places = np.tile(np.arange(1.0, 11), (4, 1))
    for alpha in (0.1, 0.5, 0.9):
        np.testing.assert_array_equal(reranked(items, Judgement(places, True), np.full(4, alpha), utility), items)


def test_ties_stand_as_the_recommender_has_them() -> None:
    items = np.array([[7, 3, 5, 9]])
    places = np.array([[4.0, 3.0, 2.0, 1.0]])
    assert reranked(items, Judgement(places, True), np.array([0.5]), "linear").tolist() == [[7, 3, 5, 9]]
    alike = Judgement(np.full((1, 4), 4.0), False)
    assert reranked(items, alike, np.array([1.0]), "linear").tolist() == [[7, 3, 5, 9]]


def test_the_reciprocal_protects_the_first_place_and_linear_does_not() -> None:
    items = np.array([[1, 2, 3, 4, 5]])
    places = Judgement(np.array([[5.0, 1.0, 2.0, 3.0, 4.0]]), True)
    assert reranked(items, places, np.array([0.3]), "linear")[0, 0] == 2
    assert reranked(items, places, np.array([0.3]), "reciprocal")[0, 0] == 1


@many
@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=30),
    st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]),
    st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]),
    st.sampled_from(["scaled", "floor"]),
)
def test_weights_are_those_of_the_slow_reading_and_of_the_paper(
    counts: list[int], b1: float, b2: float, reading: Reading
) -> None:
    alpha = Weights(b1, b2, reading).of(np.array(counts))
    assert alpha == pytest.approx(slow_alpha(counts, b1, b2, reading))
    least, most = (b1 * b2, b1) if reading == "scaled" else (b2, max(b1, b2))
    assert (alpha >= least - 1e-12).all()
    assert (alpha <= most + 1e-12).all()
    assert alpha[int(np.argmin(counts))] == pytest.approx(most), "who has least trusts the language model most"
    by_count = alpha[np.argsort(counts, kind="stable")]
    assert (np.diff(by_count) <= 1e-12).all(), "more interactions, never more weight"
    if len(set(counts)) == 1:
        assert alpha == pytest.approx(np.full(len(counts), most))


def test_everybody_may_have_one_weight() -> None:
    assert Weights(everybody=0.5).of(np.array([0, 3, 900])).tolist() == [0.5, 0.5, 0.5]
    assert Weights(0.7, 0.3).of(np.array([], dtype=np.int64)).tolist() == []


def test_the_base_of_the_logarithm_does_not_matter() -> None:
    counts = np.array([0, 1, 5, 80, 700])
    logs = np.log2(counts + 1.0)
    assert Weights(0.9, 0.1).of(counts) == pytest.approx(0.9 * np.maximum(1 - logs / logs.max(), 0.1))


def test_ratings_are_interpolated_and_a_missing_one_is_the_recommenders() -> None:
    found = combined(np.array([5.0, np.nan, 1.0]), np.array([3.0, 3.5, 2.0]), np.array([0.5, 0.9, 0.1]))
    assert found == pytest.approx([4.0, 3.5, 1.9])


def test_places_and_stretching_keep_what_is_unknown() -> None:
    assert of_places(np.array([1.0, 2.5, np.nan]), "linear") == pytest.approx([-1, -2.5, np.nan], nan_ok=True)
    assert of_places(np.array([1.0, 2.5, np.nan]), "reciprocal") == pytest.approx([1, 0.4, np.nan], nan_ok=True)
    rows = np.array([[1.0, 3.0, 2.0], [np.nan, 4.0, 4.0], [np.nan] * 3])
    expected = [[0, 1, 0.5], [np.nan, 0, 0], [np.nan] * 3]
    np.testing.assert_array_equal(stretched(rows), expected)
