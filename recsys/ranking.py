"""The first k items of a score matrix, exactly, with ties broken by a rule instead of by accident.

`torch.topk` leaves the order of equal scores to the implementation and in practice prefers low ids, which are often
sorted by popularity: a constant scorer then looks like the popularity baseline. Here a priority orders equal scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


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
        """Ties in the order of item ids, as LLMRec's evaluation has them."""
        return cls(np.arange(n_items)[::-1].copy(), np.zeros(n_users, dtype=np.int64))

    def priorities(self, users: Tensor) -> Tensor:
        """int64 [len(users), n_items], on the device of `users`."""
        order = torch.from_numpy(self.order).to(users.device)
        shift = torch.from_numpy(self.shift).to(users.device)[users]
        return (order[None, :] + shift[:, None]) % len(self.order)


def top_items(scores: Tensor, users: Tensor, k: int, ties: TieBreak) -> Tensor:
    """The best min(k, n_items) items per row, best first: int64 [b, min(k, n_items)].

    Args:
        scores: [b, n_items], any float type, no NaN. An item at -inf is masked and never recommended.
        users: int64 [b], the user of each row, on the device of `scores`.
        k: length of the lists.
        ties: orders exactly equal scores.

    Returns:
        Item ids, -1 where fewer than k items are unmasked.
    """
    n_items = scores.shape[1]
    k = min(k, n_items)
    values, items = scores.topk(min(k + 1, n_items), dim=1)
    tied = ((values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -torch.inf)).any(dim=1)
    items = items[:, :k]
    if tied.any():
        # A total order in one integer: the score's rank above, the priority below. Only rows with ties pay for it.
        keys = _ordinals(scores[tied]) * n_items + ties.priorities(users[tied])
        items[tied] = keys.topk(k, dim=1).indices
    return items.masked_fill(scores.gather(1, items) == -torch.inf, -1)


def _ordinals(scores: Tensor) -> Tensor:
    """int64 of the same shape, ordered as the scores are and equal where they are equal."""
    if scores.dtype == torch.float64:
        return torch.unique(scores, return_inverse=True)[1]
    # The bits of an IEEE float, read as an integer, are ordered for positive numbers and reversed for negative ones.
    bits = (scores.float() + 0.0).view(torch.int32)  # + 0.0 turns -0.0 into 0.0
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()
