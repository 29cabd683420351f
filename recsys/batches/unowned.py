"""Items that a user does not have, drawn without rejection.

A negative is the r-th item that the user does not own, r uniform. With the user's owned items sorted as i_0 < i_1 < ...
there are i_j - j free items before i_j, so the r-th free item is r + #{j : i_j - j <= r}: one binary search, exactly
uniform, never a false negative, and as fast for a user who owns nearly everything.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class UnownedItems(nn.Module):
    """Draws from the items without a training interaction of a user. Its buffers are no part of `state_dict`.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs; repeated ones count once.
        n_users, n_items: the sizes.
    """

    degree: Tensor
    start: Tensor
    keys: Tensor

    def __init__(self, edges: np.ndarray, n_users: int, n_items: int) -> None:
        super().__init__()
        self.n_items = n_items
        pairs = np.unique(np.asarray(edges, dtype=np.int64).reshape(-1, 2), axis=0)
        degree = np.bincount(pairs[:, 0], minlength=n_users)
        start = np.cumsum(degree) - degree
        free_before = pairs[:, 1] - (np.arange(len(pairs)) - start[pairs[:, 0]])
        for name, array in (
            ("degree", degree),
            ("start", start),
            ("keys", pairs[:, 0] * (n_items + 1) + free_before),
        ):
            self.register_buffer(name, torch.from_numpy(array.astype(np.int64)), persistent=False)

    def draw(self, user: Tensor, generator: torch.Generator) -> Tensor:
        """One item per entry of `user` (int64 of any shape), uniform over those the user has not.

        Args:
            user: users who do not own every item.
            generator: on the device of the buffers.
        """
        rank = uniform(self.n_items - self.degree[user], generator)
        owned_before = torch.searchsorted(self.keys, user * (self.n_items + 1) + rank, right=True) - self.start[user]
        return rank + owned_before


def uniform(below: Tensor, generator: torch.Generator) -> Tensor:
    """int64, one uniform draw from 0..below-1 per element."""
    share = torch.rand(below.shape, generator=generator, device=below.device, dtype=torch.float64)
    return torch.minimum((share * below).long(), below - 1)
