"""Which user has which item, as rows of numbers, and the items that are like a user's among those it has not."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.graph.knn import BLOCK, NEVER_CHOSEN, ranked


class Interactions(nn.Module):
    """The training interactions by user, on the device. Its buffers are no part of `state_dict`.

    Args:
        edges: int64 [m, 2] of (user, item) pairs, unique. With columns and sizes exchanged it tells who has an item.
        n_users, n_items: the sizes.
    """

    items: Tensor
    start: Tensor

    def __init__(self, edges: np.ndarray, n_users: int, n_items: int) -> None:
        super().__init__()
        self.sizes = (n_users, n_items)
        order = np.argsort(edges[:, 0], kind="stable")
        start = np.searchsorted(edges[order, 0], np.arange(n_users + 1))
        self.register_buffer("items", torch.from_numpy(edges[order, 1].copy()), persistent=False)
        self.register_buffer("start", torch.from_numpy(start.astype(np.int64)), persistent=False)

    def rows(self, users: Tensor, dtype: torch.dtype) -> Tensor:
        """1 where a user (int64 [b]) has an item, else 0: [b, n_items]."""
        begin = self.start[users]
        count = self.start[users + 1] - begin
        row = torch.arange(len(users), device=users.device).repeat_interleave(count)
        place = torch.arange(len(row), device=users.device) - (count.cumsum(0) - count)[row] + begin[row]
        found = torch.zeros(len(users), self.sizes[1], dtype=dtype, device=users.device)
        found[row, self.items[place]] = 1
        return found

    @torch.no_grad()
    def most_similar_others(self, users: Tensor, items: Tensor, k: int) -> np.ndarray:
        """For each user the k items of the largest inner product among those it has not: int64 [m, 2] of (user, item).

        Users and items whose embedding is zero are like nobody and have no edge. Ties go to the lower item; they are
        common, as items that one same user has are propagated to the same embedding. All pairs are compared, in blocks.

        Args:
            users, items: embeddings [n_users, d] and [n_items, d].
            k: edges per user; fewer where there are not as many items left.
        """
        edges, present = [], items.any(1)
        with torch.autocast(users.device.type, enabled=False):
            users, items = F.normalize(users.float()), items.float()
            items = items / items.norm(dim=1).max().clamp_min(1e-12)
            for block in torch.arange(self.sizes[0], device=users.device).split(max(1, BLOCK // self.sizes[1])):
                out = (self.rows(block, torch.bool) | ~present) | ~users[block].any(1, keepdim=True)
                ranks = ranked(users[block] @ items.T).masked_fill(out, NEVER_CHOSEN)
                best = ranks.topk(min(k, self.sizes[1]), dim=1)
                row, place = (best.values > NEVER_CHOSEN).nonzero(as_tuple=True)
                edges.append(torch.stack([block[row], best.indices[row, place]], 1))
        return torch.cat(edges).cpu().numpy()
