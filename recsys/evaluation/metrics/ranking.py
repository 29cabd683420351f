"""Top-k ranking metrics per user, with binary gains, on the device where the lists are.

Each takes `hits` bool [n, m] (the item at rank j, best first, is in the user's truth), `n_positives` int64 [n] (size
of the truth) and the cutoff `k`, and returns float64 [n]. A user without truth has no value: NaN, never 0. Where a
small catalogue gives fewer columns than k, the ranks beyond them are misses.

Definitions follow Manning, Raghavan, Schütze (2008), chapter 8, and Järvelin, Kekäläinen (2002) for DCG.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from augrec.artefacts.registry import Registry

PerUser = Callable[[Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class RankingMetric:
    """A metric of ranked lists. Its name is known to `augrec.artefacts.metrics` as well, with its direction."""

    name: str
    per_user: PerUser
    """See the head of this file."""


def recall(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """Share of the truth among the first k: |hits@k| / n_positives (not min(n_positives, k))."""
    return _defined(_count(hits, k) / n_positives.clamp(min=1), n_positives)


def precision(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """Share of the first k ranks that are truth: |hits@k| / k, also where fewer than k items were recommended."""
    return _defined(_count(hits, k) / k, n_positives)


def hit_rate(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """1 when any of the first k is truth, else 0."""
    return _defined((_count(hits, k) > 0).double(), n_positives)


def mrr(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """1 / rank of the first hit (ranks from 1), 0 when there is none among the first k."""
    top = hits[:, :k]
    before_first = (top.cumsum(dim=1) == 0).sum(dim=1)
    return _defined(torch.where(_count(hits, k) > 0, 1.0 / (before_first + 1.0).double(), 0.0), n_positives)


def ndcg(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """DCG@k / ideal DCG@k, DCG = sum over hits of 1 / log2(rank + 1), the ideal having min(n_positives, k) hits."""
    return _defined(_dcg(hits, k) / _ideal(n_positives, k), n_positives)


def ndcg_official(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """NDCG@k as LLMRec's code (and LATTICE's, MMSSL's, early NGCF's) computes it; only for `protocol: official`.

    The ideal is built from the hits the list happens to contain, over all ranks given in `hits` (the largest cutoff of
    the run), not from the truth, so a list that misses most of the truth can score 1. Equal to `ndcg` only where every
    user has one positive.
    """
    return _defined(_dcg(hits, k) / _ideal(hits.sum(dim=1), k), n_positives)


def coverage(best_rank: Tensor, k: int) -> float:
    """Share of the catalogue that is among anyone's first k; `best_rank` int64 [n_items], from 0, is anyone's best."""
    return float((best_rank < k).double().mean())


RANKING_METRICS: Registry[RankingMetric] = Registry("metric of ranked lists")
for _metric in (recall, precision, ndcg, hit_rate, mrr):
    RANKING_METRICS.register(RankingMetric(_metric.__name__, _metric))


def per_user_metrics(official: bool = False) -> dict[str, PerUser]:
    """The per-user metrics by name; `official` swaps in LLMRec's NDCG."""
    metrics = {name: metric.per_user for name, metric in RANKING_METRICS.items()}
    return metrics | {"ndcg": ndcg_official} if official else metrics


def _count(hits: Tensor, k: int) -> Tensor:
    return hits[:, :k].sum(dim=1, dtype=torch.float64)


def _dcg(hits: Tensor, k: int) -> Tensor:
    top = hits[:, :k]
    return (top * _discounts(top.shape[1], hits.device)).sum(dim=1)


def _ideal(n_relevant: Tensor, k: int) -> Tensor:
    """Of min(n_relevant, k) hits, at least one."""
    return _discounts(k, n_relevant.device).cumsum(dim=0)[n_relevant.clamp(1, k) - 1]


def _discounts(k: int, device: torch.device) -> Tensor:
    # Made on the CPU, so that the logarithms are the same on every device.
    return torch.arange(2, k + 2, dtype=torch.float64).log2().reciprocal().to(device)


def _defined(values: Tensor, n_positives: Tensor) -> Tensor:
    return values.masked_fill(n_positives <= 0, torch.nan)
