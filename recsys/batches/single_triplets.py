"""Triplets that are drawn one by one: what LearnBPR descends along (Rendle et al., UAI 2009, figure 4).

A draw is an interaction and an item, each uniform over all of them and with replacement. Where the user has the item
the draw is passed over, so that what remains is uniform over all triplets there are, as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from recsys.batches.triplets import notes_of_full, pairs_with_negatives
from recsys.compiled import compiled

MOST = 2**18  # triplets in a batch: 7 MiB of numbers, whatever the data
TABLE = 2**24  # the most bytes of a table of who has what


@dataclass(frozen=True, eq=False)
class DrawnTriplets:
    """A batch, whose triplets follow each other.

    Attributes:
        user, positive, negative: int32 [b].
    """

    user: np.ndarray
    positive: np.ndarray
    negative: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    def to(self, device: torch.device | str) -> DrawnTriplets:
        """Itself: the descent is the CPU's, wherever the model is."""
        return self

    def share(self, rank: int, size: int) -> DrawnTriplets:
        """Itself: steps that follow each other are not divided."""
        return self


class SingleTriplets:
    """The triplets of a training, as many draws in an epoch as there are interactions; see `Batches`.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs; repeated ones count once.
        n_users, n_items: the sizes; negatives come from all items.
        generator: on the CPU.

    Raises:
        DataError: no user has both an interaction and an item without one.
    """

    def __init__(self, edges: np.ndarray, n_users: int, n_items: int, generator: torch.Generator) -> None:
        pairs, degree = pairs_with_negatives(edges, n_users, n_items)
        self.n_items, self.generator = n_items, generator
        self.users, self.items = (np.ascontiguousarray(column, dtype=np.int32) for column in pairs.T)
        self.starts = np.concatenate([[0], np.cumsum(degree)])
        small = n_users * n_items < 8 * TABLE  # else a draw searches the user's items, in several times the time
        self.table = np.zeros(n_users * n_items // 8 + 1 if small else 0, np.uint8)
        if small:
            _enter(self.users, self.items, n_items, self.table)
        self.notes = ["steps by single triplets: training.batch_size and Adam have no part"]
        self.notes += notes_of_full(int((degree == n_items).sum()))

    def epoch(self) -> Iterator[DrawnTriplets]:
        """See `Batches.epoch`: batches of nearly equal size, so that their mean losses weigh alike."""
        total = len(self.users)
        count = -(-total // MOST)
        for number in range(count):
            yield self.drawn(total * (number + 1) // count - total * number // count)

    def drawn(self, draws: int) -> DrawnTriplets:
        """The triplets of the next draws; one at least, for which further ones are made."""
        user, positive, negative = (np.empty(draws, np.int32) for _ in range(3))
        kept = 0
        while not kept:
            shares = torch.rand(2, draws, generator=self.generator, dtype=torch.float64).numpy()
            data = self.users, self.items, self.starts, self.table, self.n_items
            kept = _look_up(shares, *data, user, positive, negative)
        return DrawnTriplets(user[:kept], positive[:kept], negative[:kept])


@compiled()
def _enter(users: np.ndarray, items: np.ndarray, n_items: int, table: np.ndarray) -> None:
    """Sets the bit of each pair in a table (uint8) of n_items bits for every user."""
    for pair in range(len(users)):
        place = users[pair] * n_items + items[pair]
        table[place >> 3] |= 1 << (place & 7)


@compiled()
def _look_up(
    shares: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
    starts: np.ndarray,
    table: np.ndarray,
    n_items: int,
    user: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
) -> int:
    """Fills in the triplets that `shares` (float64 [2, b] in [0, 1)) name, of interactions and of items; how many.

    Whether a user has an item is read off the table or, where that is empty, searched among the user's items.
    """
    kept, one, eight = 0, np.uint64(1), np.uint64(8)  # an index with a sign is looked at twice
    for draw in range(shares.shape[1]):
        pair = min(np.uint64(shares[0, draw] * len(users)), np.uint64(len(users) - 1))
        other = min(np.int32(shares[1, draw] * n_items), np.int32(n_items - 1))
        owner = np.uint64(users[pair])
        user[kept], positive[kept], negative[kept] = users[pair], items[pair], other
        if len(table):
            place = owner * np.uint64(n_items) + np.uint64(other)
            kept += 1 - int(np.uint64(table[place // eight]) >> place % eight & one)
            continue
        low = np.uint64(starts[owner])
        left = np.uint64(starts[owner + one]) - low
        while left > one:  # a binary search without branches, which would be guessed wrongly
            half = left >> one
            low += half * np.uint64(items[low + half] <= other)
            left -= half
        kept += items[low] != other
    return kept
