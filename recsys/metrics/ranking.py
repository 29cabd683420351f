"""Top-k ranking metrics per user, with binary gains.

Each takes `hits` bool [n, m] (the item at rank j, best first, is in the user's truth), `n_positives` int [n] (size
of the truth) and the cutoff `k`, and returns float64 [n]. A user without truth has no value: NaN, never 0. Where a
small catalogue gives fewer columns than k, the ranks beyond them are misses.

Definitions follow Manning, Raghavan, Schütze (2008), chapter 8, and Järvelin, Kekäläinen (2002) for DCG.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Metric = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def recall(hits: np.ndarray, n_positives: np.ndarray, k: int) -> np.ndarray:
    """Share of the truth among the first k: |hits@k| / n_positives (not min(n_positives, k))."""
    return _defined(_count(hits, k) / np.maximum(n_positives, 1), n_positives)


def precision(hits: np.ndarray, n_positives: np.ndarray, k: int) -> np.ndarray:
    """Share of the first k ranks that are truth: |hits@k| / k, also where fewer than k items were recommended."""
    return _defined(_count(hits, k) / k, n_positives)


def hit_rate(hits: np.ndarray, n_positives: np.ndarray, k: int) -> np.ndarray:
    """1 when any of the first k is truth, else 0."""
    return _defined((_count(hits, k) > 0).astype(np.float64), n_positives)


def mrr(hits: np.ndarray, n_positives: np.ndarray, k: int) -> np.ndarray:
    """1 / rank of the first hit (ranks from 1), 0 when there is none among the first k."""
    top = hits[:, :k]
    first = np.argmax(top, axis=1) if top.shape[1] else np.zeros(len(top), dtype=np.int64)
    return _defined(np.where(_count(hits, k) > 0, 1.0 / (first + 1.0), 0.0), n_positives)


def ndcg(hits: np.ndarray, n_positives: np.ndarray, k: int) -> np.ndarray:
    """DCG@k / ideal DCG@k, DCG = sum over hits of 1 / log2(rank + 1), the ideal having min(n_positives, k) hits."""
    return _defined(_dcg(hits, k) / _ideal(np.maximum(n_positives, 1), k), n_positives)


def ndcg_official(hits: np.ndarray, n_positives: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k as LLMRec's code (and LATTICE's, MMSSL's, early NGCF's) computes it; only for `protocol: official`.

    The ideal is built from the hits the list happens to contain, over all ranks given in `hits` (the largest cutoff of
    the run), not from the truth, so a list that misses most of the truth can score 1. Equal to `ndcg` only where every
    user has one positive.
    """
    found = hits.sum(axis=1)
    return _defined(_dcg(hits, k) / _ideal(np.maximum(found, 1), k), n_positives)


def coverage(top: np.ndarray, n_items: int, k: int) -> float:
    """Share of the catalogue that occurs among anyone's first k; `top` int [n, >= k] holds item ids, -1 for none."""
    shown = np.unique(top[:, :k])
    return float((shown >= 0).sum() / n_items) if n_items else float("nan")


def per_user_metrics(official: bool = False) -> dict[str, Metric]:
    """The per-user metrics by name; `official` swaps in LLMRec's NDCG."""
    return {
        "recall": recall,
        "precision": precision,
        "ndcg": ndcg_official if official else ndcg,
        "hit_rate": hit_rate,
        "mrr": mrr,
    }


def _count(hits: np.ndarray, k: int) -> np.ndarray:
    return hits[:, :k].sum(axis=1, dtype=np.float64)


def _dcg(hits: np.ndarray, k: int) -> np.ndarray:
    top = hits[:, :k]
    return (top * _discounts(top.shape[1])).sum(axis=1)


def _ideal(n_relevant: np.ndarray, k: int) -> np.ndarray:
    return np.cumsum(_discounts(k))[np.minimum(n_relevant, k) - 1]


def _discounts(k: int) -> np.ndarray:
    return 1.0 / np.log2(np.arange(2, k + 2, dtype=np.float64))


def _defined(values: np.ndarray, n_positives: np.ndarray) -> np.ndarray:
    return np.where(n_positives > 0, values, np.nan)
