"""AutoCF in the structure of the published code: three projections for each edge, nodes masked one after the other."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.rlmrec_released import DIM, LAYERS, ReleasedModel

HEADS, SEEDS, DEPTH, SHARE, REDRAW, APART = 4, 100, 2, 0.2, 10, 1.0


class ReleasedAttention(nn.Module):
    """The decoder's layer."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (
            nn.Parameter(nn.init.xavier_uniform_(torch.empty(DIM, DIM))) for _ in range(3)
        )

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """What each node receives along the places [2, k] of the decoder's graph."""
        row, column = places
        shape = (-1, HEADS, DIM // HEADS)
        receiver, sender = x[row], x[column]
        query, key, value = (receiver @ self.query).view(shape), (sender @ self.key).view(shape), sender @ self.value
        powers = torch.exp(torch.clamp(torch.einsum("ehd,ehd->eh", query, key), -10.0, 10.0))
        norm = torch.zeros(len(x), HEADS).index_add(0, row, powers)[row]
        messages = torch.einsum("eh,ehd->ehd", powers / (norm + 1e-8), value.view(shape)).reshape(-1, DIM)
        return torch.zeros_like(x).index_add(0, row, messages)


class ReleasedAutoCf(ReleasedModel):
    """See `ReleasedModel`. Everything random is drawn from torch's global generator."""

    def __init__(self, backbone: str, aligner: str, edges: np.ndarray, users: Tensor, items: Tensor) -> None:
        super().__init__(backbone, aligner, edges, users, items)
        self.attention = nn.ModuleList([ReleasedAttention()])
        places = self.graph.indices()
        self.ones = self._matrix(places, torch.ones(places.shape[1]))
        self.draws_now, self.drawn = False, False

    def before_step(self, number: int) -> None:
        """Every tenth step draws new graphs."""
        self.draws_now = number % REDRAW == 0 or not self.drawn

    def forward(self, batch: list[Tensor]) -> Tensor:
        """The sum of all terms for a batch of users, positives and negatives, of which the last are not used."""
        user, positive, _ = (ids.long() for ids in batch)
        infomax = torch.zeros(())
        if self.draws_now:
            scores = self._scores(torch.cat([self.user_embeds, self.item_embeds]))
            infomax = -scores.mean()
            self._draw(torch.topk(scores, min(SEEDS, len(scores))).indices)
        start, hidden = self._start()
        outputs = [start]
        for _ in range(LAYERS):
            outputs.append(torch.spmm(self.encoder, outputs[-1]))
        for layer in self.attention:
            outputs.append(layer(outputs[-1], self.decoder))
        users, items = torch.stack(outputs).sum(0).split(self.sizes)
        rows = users[user], items[positive]
        own, chosen = users[torch.unique(user)], items[torch.unique(positive)]
        apart = sum(torch.log(torch.exp(x @ all_.T).sum(-1)).mean() for x, all_ in ((own, users), (chosen, items)))
        loss = -(rows[0] * rows[1]).sum(-1).mean() + APART * apart + self._penalty() + infomax
        loss = loss + torch.log(torch.exp(rows[0] @ items.T).sum(-1)).mean()
        return loss + self._aligned(users, items, (user, positive), hidden)

    def _matrix(self, places: Tensor, values: Tensor) -> Tensor:
        return torch.sparse_coo_tensor(places, values, self.graph.shape, check_invariants=False).coalesce()

    def _scores(self, table: Tensor) -> Tensor:
        order = torch.sparse.sum(self.ones, dim=-1).to_dense().view(-1, 1)
        first = torch.spmm(self.ones, table) - table
        second = torch.spmm(self.ones, first) - first - order * table
        count = torch.spmm(self.ones, order) - order
        around = F.normalize((first + second) / (count + 1e-8))
        scores = torch.log(torch.sigmoid((around * F.normalize(table)).sum(-1)))
        noise = torch.rand(len(table))
        noise[noise == 0] = 1e-8
        return -torch.log(-torch.log(noise)) + scores

    def _draw(self, seeds: Tensor) -> None:
        nodes = sum(self.sizes)
        row, column = places = self.ones.indices()
        masked, current = [seeds], seeds
        for depth in range(DEPTH):
            following = []
            for node in current:
                hit = (row == node) | (column == node)
                if depth < DEPTH - 1:
                    following += [row[hit], column[hit]]
                row, column = row[~hit], column[~hit]
            if following:
                current = torch.unique(torch.cat(following))
                masked.append(current)
        masked.append(torch.randint(nodes, (int(nodes * SHARE),)))
        chosen = torch.unique(torch.cat(masked))
        degree = (torch.bincount(row, minlength=nodes) + 1e-12) ** -0.5
        left = torch.stack([row, column])
        self.encoder = self._matrix(left, degree[row] * degree[column])
        ends = [chosen[torch.randint(len(chosen), (places.shape[1],))] for _ in range(2)]
        own = torch.arange(nodes)
        rows, columns = torch.cat([*ends, own, row]), torch.cat([*ends[::-1], own, column])
        keys = torch.unique(rows * nodes + columns)
        columns = keys % nodes
        self.decoder = torch.stack([((keys - columns) / nodes).long(), columns])
        self.drawn = True
