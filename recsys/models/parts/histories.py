"""What users have in training, and sums over it: the X_u of every item-item model."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Histories(nn.Module):
    """The training items of every user, on the device. Its buffers are no part of `state_dict`.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
    """

    pointers: Tensor
    items: Tensor

    def __init__(self, edges: np.ndarray, n_users: int, n_items: int) -> None:
        super().__init__()
        self.n_items = n_items
        pairs = edges[:, 0] * n_items + edges[:, 1]
        if (pairs[1:] < pairs[:-1]).any():
            pairs.sort()  # one number each, which is several times as fast as two columns
        pointers = np.searchsorted(pairs, n_items * np.arange(n_users + 1))
        pairs %= max(n_items, 1)
        self.register_buffer("pointers", torch.from_numpy(pointers), persistent=False)
        self.register_buffer("items", torch.from_numpy(pairs), persistent=False)

    def of(self, users: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The histories of `users` (int64 [b]) in one row: where each begins [b], then row and item [m]."""
        begin, length = self.pointers[users], self.pointers[users + 1] - self.pointers[users]
        starts = length.cumsum(0) - length
        rows = torch.repeat_interleave(length)
        return starts, rows, self.items[begin[rows] + torch.arange(len(rows), device=users.device) - starts[rows]]

    def times(self, users: Tensor, table: Tensor) -> Tensor:
        """X_u `table`, float32 [b, d], for a dense table [n_items, d]: the sum of the rows of a user's items.

        Only those rows are read, in the same order for any batch.
        """
        starts, _, items = self.of(users)
        if not len(items):
            return table.new_zeros(len(users), table.shape[1])
        return F.embedding_bag(items, table, starts, mode="sum")

    def times_sparse(self, users: Tensor, neighbours: Tensor, values: Tensor) -> Tensor:
        """X_u W, float32 [b, n_items], for a W whose row i holds `values[i]` in the columns `neighbours[i]`.

        Both are [n_items, k]. Summed in float64, so that the order of the terms, which a GPU does not fix, leaves no
        trace in float32.
        """
        _, rows, items = self.of(users)
        total = torch.zeros(len(users) * self.n_items, dtype=torch.float64, device=values.device)
        places = rows[:, None] * self.n_items + neighbours[items]
        total.index_add_(0, places.flatten(), values[items].double().flatten())
        return total.view(len(users), self.n_items).float()

    def contains(self, users: Tensor) -> Tensor:
        """bool [b, n_items]: whether the user has the item."""
        _, rows, items = self.of(users)
        found = torch.zeros(len(users), self.n_items, dtype=torch.bool, device=users.device)
        found[rows, items] = True
        return found
