"""Ranking metrics against a hand-computed table, a per-user loop, scikit-learn and torchmetrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score
from torchmetrics.functional import retrieval

from augrec.artefacts.metrics import METRICS, Metric, register_metric
from recsys.data.dataset import Dataset
from recsys.evaluation.metrics.ranking import (
    RANKING_METRICS,
    PerUser,
    RankingMetric,
    coverage,
    hit_rate,
    mrr,
    ndcg,
    ndcg_official,
    per_user_metrics,
    precision,
    recall,
)
from recsys.evaluation.ranking import evaluate

L3 = math.log2(3)
HAND = [
    # hits, n_positives, k, recall, precision, ndcg, hit_rate, mrr
    ([1, 0, 1, 0], 2, 4, 1.0, 0.5, (1 + 0.5) / (1 + 1 / L3), 1.0, 1.0),
    ([0, 1, 0, 0], 1, 4, 1.0, 0.25, 1 / L3, 1.0, 0.5),
    ([0, 1, 0, 0], 1, 1, 0.0, 0.0, 0.0, 0.0, 0.0),
    ([0, 0, 0, 0], 3, 4, 0.0, 0.0, 0.0, 0.0, 0.0),
    ([1, 1, 0, 0], 5, 2, 0.4, 1.0, 1.0, 1.0, 1.0),  # more positives than places: recall < 1, NDCG 1
    ([0, 0, 1, 1], 2, 4, 1.0, 0.5, (0.5 + 1 / math.log2(5)) / (1 + 1 / L3), 1.0, 1 / 3),
]


def computed(metric: PerUser, hits: np.ndarray, n_positives: np.ndarray, k: int) -> np.ndarray:
    values = metric(torch.from_numpy(hits), torch.from_numpy(n_positives), k)
    assert values.dtype == torch.float64
    return values.numpy()


@pytest.mark.parametrize("case", HAND)
def test_hand_table(case: tuple) -> None:
    row, n_positives, k, *expected = case
    arguments = np.array([row], dtype=bool), np.array([n_positives]), k
    got = [computed(metric, *arguments)[0] for metric in (recall, precision, ndcg, hit_rate, mrr)]
    assert got == pytest.approx(expected, abs=1e-12)


def naive(name: str, hits: list[bool], n_positives: int, k: int, official: bool) -> float:
    top = [bool(hit) for hit in hits[:k]]
    if n_positives == 0:
        return math.nan
    if name == "recall":
        return sum(top) / n_positives
    if name == "precision":
        return sum(top) / k
    if name == "hit_rate":
        return 1.0 if any(top) else 0.0
    if name == "mrr":
        return next((1 / rank for rank, hit in enumerate(top, start=1) if hit), 0.0)
    dcg = sum(1 / math.log2(rank + 1) for rank, hit in enumerate(top, start=1) if hit)
    relevant = min(sum(map(bool, hits)) if official else n_positives, k)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, relevant + 1))
    return dcg / ideal if ideal else 0.0


@given(
    n=st.integers(1, 12),
    width=st.integers(0, 9),
    k=st.integers(1, 12),
    seed=st.integers(0, 999),
    official=st.booleans(),
)
def test_every_metric_equals_a_loop_over_users(n: int, width: int, k: int, seed: int, official: bool) -> None:
    rng = np.random.default_rng(seed)
    hits = rng.random((n, width)) < 0.4
    n_positives = hits.sum(axis=1) + rng.integers(0, 3, n)
    for name, metric in per_user_metrics(official).items():
        expected = [
            naive(name, list(row), int(total), k, official) for row, total in zip(hits, n_positives, strict=True)
        ]
        np.testing.assert_allclose(computed(metric, hits, n_positives, k), expected, rtol=0, atol=1e-12, err_msg=name)


def test_ndcg_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    truth, scores = rng.random((40, 30)) < 0.2, rng.random((40, 30))
    truth[:, 0] = True
    order = np.argsort(-scores, axis=1)
    hits = np.take_along_axis(truth, order, axis=1)
    for k in (1, 5, 30):
        assert computed(ndcg, hits, truth.sum(axis=1), k).mean() == pytest.approx(
            ndcg_score(truth, scores, k=k), abs=1e-12
        )


@pytest.mark.parametrize("k", [1, 4, 20, 25])  # the last one beyond the list
def test_every_metric_agrees_with_torchmetrics(k: int) -> None:
    rng = np.random.default_rng(k)
    hits = rng.random((30, 20)) < 0.2
    hits[:, 0] |= ~hits.any(axis=1)
    scores = torch.arange(20, 0, -1).float()
    theirs = {
        "recall": retrieval.retrieval_recall,
        "precision": retrieval.retrieval_precision,
        "ndcg": retrieval.retrieval_normalized_dcg,
        "hit_rate": retrieval.retrieval_hit_rate,
        "mrr": retrieval.retrieval_reciprocal_rank,
    }
    for name, metric in per_user_metrics().items():
        expected = [float(theirs[name](scores, torch.from_numpy(row), top_k=k)) for row in hits]
        found = computed(metric, hits, hits.sum(axis=1), k)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6, err_msg=name)  # theirs is float32


def test_users_without_truth_have_no_value() -> None:
    hits, none = np.zeros((2, 3), dtype=bool), np.array([0, 0])
    for metric in (*per_user_metrics().values(), *per_user_metrics(official=True).values()):
        assert np.isnan(computed(metric, hits, none, 3)).all()


def test_recall_and_hit_rate_never_fall_as_k_grows() -> None:
    rng = np.random.default_rng(0)
    hits = rng.random((50, 20)) < 0.2
    n_positives = hits.sum(axis=1) + 1
    for metric in (recall, hit_rate, mrr):
        values = np.stack([computed(metric, hits, n_positives, k) for k in range(1, 25)])
        assert (np.diff(values, axis=0) >= 0).all()


def test_official_ndcg_rewards_missing_most_of_the_truth() -> None:
    hits, n_positives = np.array([[True, False, False]]), np.array([10])
    assert computed(ndcg_official, hits, n_positives, 3)[0] == 1.0
    assert computed(ndcg, hits, n_positives, 3)[0] < 0.5


def test_official_ndcg_is_the_textbook_value_with_one_positive() -> None:
    hits = np.eye(6, dtype=bool)
    one = np.ones(6, dtype=int)
    np.testing.assert_allclose(computed(ndcg_official, hits, one, 6), computed(ndcg, hits, one, 6), rtol=0, atol=1e-12)


def test_official_ideal_counts_hits_beyond_k() -> None:
    hits = np.array([[False, True, False, True]])
    assert computed(ndcg_official, hits, np.array([2]), 2)[0] == pytest.approx((1 / L3) / (1 + 1 / L3))


def test_coverage_counts_items_somebody_is_shown_in_time() -> None:
    best_rank = torch.tensor([0, 1, 9, 4])
    assert [coverage(best_rank, k) for k in (1, 2, 5, 9, 10)] == [0.25, 0.5, 0.75, 0.75, 1.0]


def test_the_textbook_is_the_rule_and_the_official_ndcg_the_exception() -> None:
    assert per_user_metrics()["ndcg"] is ndcg
    assert per_user_metrics(official=True)["ndcg"] is ndcg_official
    others = [{**per_user_metrics(official), "ndcg": None} for official in (False, True)]
    assert others[0] == others[1]


def test_every_metric_has_a_direction_and_a_cutoff() -> None:
    for name in per_user_metrics():
        metric = Metric.parse(f"{name}@20")
        assert (METRICS[name].at_k, metric.lower_is_better) == (True, False)


def test_a_metric_of_ones_own_is_evaluated_beside_the_others() -> None:
    def last_hit(hits: torch.Tensor, n_positives: torch.Tensor, k: int) -> torch.Tensor:
        places = torch.arange(1, hits.shape[1] + 1) * hits
        return places[:, :k].amax(dim=1).double()

    pairs = [np.array([[0, 0]]), np.empty((0, 2)), np.array([[0, 1], [0, 3]])]
    dataset = Dataset.from_arrays(1, 5, *pairs)
    scores = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0]])
    with METRICS.including(), RANKING_METRICS.including(RankingMetric("last_hit", last_hit)):
        register_metric("last_hit", at_k=True)
        result = evaluate(lambda users: scores[users], dataset, "test", cutoffs=(2, 4))
    assert (result.mean["last_hit@2"], result.mean["last_hit@4"]) == (1, 3)
    assert set(per_user_metrics()) == {"recall", "precision", "ndcg", "hit_rate", "mrr"}
