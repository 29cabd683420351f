"""The first k items of a score matrix, exactly, with ties broken by a rule instead of by accident.

`torch.topk` leaves the order of equal scores to the implementation and in practice prefers low ids, which are often
sorted by popularity: a constant scorer then looks like the popularity baseline. Here a priority orders equal scores.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 64  # rows whose priorities for the whole catalogue are in memory at a time
BLOCK_CELLS = 2**22  # and so many priorities at most: 16 MiB
FEW = 8  # where at most one item in so many is tied, priorities are made for the tied ones alone
LOWEST = torch.iinfo(torch.int32).min


class Top(NamedTuple):
    """The best items per row, best first; [b, k] each."""

    items: Tensor
    """int64, -1 where fewer than k items are unmasked."""
    values: Tensor
    """Their scores, -inf beside -1. The first one is NaN in a row that holds NaN anywhere; such a row means nothing."""


@dataclass(frozen=True)
class TieBreak:
    """Which of two equally scored items comes first for a user: the one with the higher priority.

    A seeded priority is a hash of (seed, user, item) that gives a user's items different values, so the ranking is
    total, and that says nothing of another user's: of two items that tie for everybody each is first for about half
    of the users, whatever the ids mean.
    """

    n_items: int
    """Of the catalogue, or of the block of it that is ranked."""
    words: tuple[int, int] | None
    """Two 32-bit words of the seed, for items and for users; None puts lower ids first."""
    first_item: int = 0
    """The id of the block's first item: items count from there."""

    @classmethod
    def seeded(cls, n_users: int, n_items: int, seed: int) -> TieBreak:
        """Ties in a random order that depends on the seed, the user and the item."""
        if max(n_users, n_items) >= 2**31:
            raise ValueError("ids of users and items are hashed as 32-bit integers")
        words = hashlib.sha256(f"ties/{seed}".encode()).digest()
        return cls(n_items, (int.from_bytes(words[:4]), int.from_bytes(words[4:8])))

    @classmethod
    def lower_id_first(cls, n_users: int, n_items: int) -> TieBreak:
        """Ties in the order of item ids, as LLMRec's evaluator has them."""
        return cls(n_items, None)

    def block(self, begin: int, end: int) -> TieBreak:
        """The same priorities for the items `begin` to `end` alone, which then count from 0."""
        return replace(self, n_items=end - begin, first_item=self.first_item + begin)

    def priorities(self, users: Tensor, items: Tensor | None = None) -> Tensor:
        """int32 [b, m], on the device of `users` int64 [b]: of `items` int64 [b, m], or of every item in order."""
        every = torch.arange(self.n_items, device=users.device)
        return self.of(users[:, None], every[None, :] if items is None else items)

    def of(self, users: Tensor, items: Tensor) -> Tensor:
        """int32 priorities of pairs: `users` and `items` are int64 of one shape, or broadcast to one."""
        ids = (items + self.first_item).to(torch.int32)
        if self.words is None:
            return (-ids).expand(torch.broadcast_shapes(users.shape, items.shape))
        item_word, user_word = (word - 2**32 * (word >= 2**31) for word in self.words)
        return _mixed(_mixed(ids + item_word) ^ _mixed(users.to(torch.int32) + user_word))


def _mixed(x: Tensor) -> Tensor:
    """A bijection of int32 in which every bit depends on all: the finaliser of MurmurHash3 (Appleby, public domain)."""
    for shift, factor in ((16, 0x85EBCA6B - 2**32), (13, 0xC2B2AE35 - 2**32), (16, 1)):
        x = ((x >> shift).bitwise_and_(2 ** (32 - shift) - 1)).bitwise_xor_(x).mul_(factor)
    return x


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
        for rows in contested.nonzero()[:, 0].split(max(1, min(BLOCK, BLOCK_CELLS // n_items))):
            items[rows] = _fill_last_places(scores[rows], values[rows], items[rows], users[rows], ties)
        items[tied] = _ordered(values[tied], items[tied], ties.priorities(users[tied], items[tied]))
    return Top(items.masked_fill(values == -torch.inf, -1), values)


def _fill_last_places(scores: Tensor, values: Tensor, items: Tensor, users: Tensor, ties: TieBreak) -> Tensor:
    """`items` with the last places, all of one score, given to the items of that score with the highest priorities."""
    k = items.shape[1]
    last = values[:, -1:]
    tied = scores == last  # more items than there are open places, so that none of LOWEST priority is taken
    if tied.sum() * FEW > tied.numel():
        priorities = ties.priorities(users).masked_fill(~tied, LOWEST)
    else:
        row, item = tied.nonzero(as_tuple=True)
        priorities = torch.full(scores.shape, LOWEST, dtype=torch.int32, device=scores.device)
        priorities[row, item] = ties.of(users[row], item)
    best = priorities.topk(k, dim=1).indices
    open_places = values == last
    place = torch.arange(k, device=items.device) - (k - open_places.sum(dim=1, keepdim=True))
    return torch.where(open_places, best.gather(1, place.clamp(min=0)), items)


def _ordered(values: Tensor, items: Tensor, priorities: Tensor) -> Tensor:
    """`items` by falling priority within equal values."""
    by_priority = priorities.argsort(dim=1, descending=True)
    by_value = values.gather(1, by_priority).argsort(dim=1, descending=True, stable=True)
    return items.gather(1, by_priority.gather(1, by_value))
