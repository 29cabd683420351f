"""The first k items of a score matrix, exactly, with ties broken by a rule instead of by accident.

`torch.topk` leaves the order of equal scores to the implementation and in practice prefers low ids, which are often
sorted by popularity: a constant scorer then looks like the popularity baseline. Here a priority orders equal scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

BLOCK = 64  # rows whose priorities for the whole catalogue are in memory at a time


class Top(NamedTuple):
    """The best items per row, best first; [b, k] each."""

    items: Tensor
    """int64, -1 where fewer than k items are unmasked."""
    values: Tensor
    """Their scores, -inf beside -1. The first one is NaN in a row that holds NaN anywhere; such a row means nothing."""


@dataclass(frozen=True)
class TieBreak:
    """Which of two equally scored items comes first for a user: the one with the higher priority.

    A priority is `(order[item] + shift[user]) mod n_items`: unique per user, so the ranking is total. A seeded order
    with a seeded shift per user favours no item among equals, whatever the ids mean.
    """

    order: np.ndarray
    """int64 [n_items], a permutation."""
    shift: np.ndarray
    """int64 [n_users]."""

    @classmethod
    def seeded(cls, n_users: int, n_items: int, seed: int) -> TieBreak:
        """Ties in a random order that depends on the seed and the user, not on the item ids."""
        rng = np.random.default_rng(seed)
        return cls(rng.permutation(n_items), rng.integers(max(n_items, 1), size=n_users))

    @classmethod
    def lower_id_first(cls, n_users: int, n_items: int) -> TieBreak:
        """Ties in the order of item ids, as LLMRec's evaluator has them."""
        return cls(np.arange(n_items)[::-1].copy(), np.zeros(n_users, dtype=np.int64))

    def priorities(self, users: Tensor, items: Tensor | None = None) -> Tensor:
        """int64 [b, m], on the device of `users` int64 [b]: of `items` int64 [b, m], or of every item in order."""
        order = torch.from_numpy(self.order).to(users.device)
        shift = torch.from_numpy(self.shift).to(users.device)[users]
        return ((order[None, :] if items is None else order[items]) + shift[:, None]) % len(self.order)


def top_items(scores: Tensor, users: Tensor, k: int, ties: TieBreak) -> Top:
    """The best min(k, n_items) items per row.

    Args:
        scores: [b, n_items], any float type. An item at -inf is masked and never recommended.
        users: int64 [b], the user of each row, on the device of `scores`.
        k: length of the lists.
        ties: orders exactly equal scores.
    """
    n_items = scores.shape[1]
    k = min(k, n_items)
    values, items = scores.topk(min(k + 1, n_items), dim=1)  # one more, to see whether place k is contested
    values = values + 0.0  # -0.0 becomes 0.0
    equal = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -torch.inf)
    contested = equal[:, k - 1].clone() if equal.shape[1] >= k else equal.new_zeros(len(equal))
    tied = equal.any(dim=1)
    values, items = values[:, :k], items[:, :k]
    if tied.any():
        for rows in contested.nonzero()[:, 0].split(BLOCK):
            items[rows] = _fill_last_places(scores[rows], values[rows], items[rows], ties.priorities(users[rows]))
        items[tied] = _ordered(values[tied], items[tied], ties.priorities(users[tied], items[tied]))
    return Top(items.masked_fill(values == -torch.inf, -1), values)


def _fill_last_places(scores: Tensor, values: Tensor, items: Tensor, priorities: Tensor) -> Tensor:
    """`items` with the last places, all of one score, given to the items of that score with the highest priorities."""
    k = items.shape[1]
    last = values[:, -1:]
    best = priorities.masked_fill_(scores != last, -1).topk(k, dim=1).indices
    open_places = values == last
    place = torch.arange(k, device=items.device) - (k - open_places.sum(dim=1, keepdim=True))
    return torch.where(open_places, best.gather(1, place.clamp(min=0)), items)


def _ordered(values: Tensor, items: Tensor, priorities: Tensor) -> Tensor:
    """`items` by falling priority within equal values."""
    by_priority = priorities.argsort(dim=1, descending=True)
    by_value = values.gather(1, by_priority).argsort(dim=1, descending=True, stable=True)
    return items.gather(1, by_priority.gather(1, by_value))
