"""The graphs that AutoCF trains on for some steps: one without the surroundings of chosen nodes, one to restore it.

Source: Xia et al., "Automated Self-Supervised Learning for Recommendation", WWW 2023 (AutoCF), sections 3.1 and 3.2.
Everything here is sorted once, when the interactions are; a new encoder graph needs no sorting, a new decoder graph
that of its edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.aligners.base import Embeddings
from recsys.draws import Draws
from recsys.graph.weighted import Pattern

if TYPE_CHECKING:
    from recsys.models.options.autocf import AutoCfOptions

SMALLEST = 1e-8  # in the place of a uniform draw of 0, whose logarithm is infinite


@dataclass(frozen=True, eq=False)
class Graphs:
    """What a pass goes over.

    Attributes:
        encoder: interactions [n_users, n_items], of which some may be missing.
        values: [m], D^-1/2 A D^-1/2 of them.
        decoder: the pattern [n, n] of attention, users first.
    """

    encoder: Pattern
    values: Tensor
    decoder: Pattern

    def smoothed(self, x: Embeddings) -> Embeddings:
        """One hop over the encoder's graph."""
        users = self.encoder.product(self.values, x.items)
        return Embeddings(users, self.encoder.product(self.values, x.users, transposed=True))


@dataclass(frozen=True, eq=False)
class Masked:
    """A draw.

    Attributes:
        graphs: those of training steps.
        noise: [n], what was added to the nodes' scores.
        seeds: int64, the nodes around which interactions are missing, best first.
    """

    graphs: Graphs
    noise: Tensor
    seeds: Tensor


class MaskedGraphs(nn.Module):
    """Draws graphs from the interactions.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs, unique.
        n_users, n_items: the sizes.
        options: of AutoCF.
    """

    user_degree: Tensor
    item_degree: Tensor

    def __init__(self, edges: np.ndarray, n_users: int, n_items: int, options: AutoCfOptions) -> None:
        super().__init__()
        self.options, self.n_users, self.nodes = options, n_users, n_users + n_items
        self.interactions = Pattern(edges, n_users, n_items)
        self.everything = self._decoder(self._whole_keys(), rounded=False)
        for name, degrees in zip(("user_degree", "item_degree"), _degrees(self.interactions), strict=True):
            self.register_buffer(name, degrees.to(torch.get_default_dtype()), persistent=False)

    def whole(self) -> Graphs:
        """The graphs of evaluation: nothing is missing and nothing random."""
        return Graphs(self.interactions, self._normalised(self.interactions), self.everything)

    def draw(self, table: Embeddings, draw: Draws) -> Masked:
        """New graphs, without a gradient.

        Args:
            table: the embeddings before propagation, by which nodes are scored.
            draw: `noise`, `random nodes`, `pair rows` and `pair columns`, in this order.
        """
        options = self.options
        with torch.no_grad():
            uniform = draw.uniform("noise", self.nodes).to(self.user_degree)
            noise = -(-uniform.where(uniform > 0, SMALLEST).log()).log()
            number = min(options.seeds, max(1, int(self.nodes * options.seeds_share)))
            seeds = (self.closeness(table) + noise).topk(number).indices
            keep, masked = self._around(seeds)
            count = int(self.nodes * options.masked_share)
            nodes = draw.repeated if options.repeated_nodes else draw.distinct
            masked[nodes("random nodes", count, self.nodes)] = True
            encoder = self.interactions.kept(keep)
            decoder = self._decoder(self._restoring(masked, encoder, draw), rounded=options.rounded_rows)
        return Masked(Graphs(encoder, self._normalised(encoder), decoder), noise, seeds)

    def closeness(self, table: Embeddings) -> Tensor:
        """For each node the log-sigmoid of the cosine of its embedding and the mean of those up to two hops away: [n].

        A mean's divisor has no effect on a cosine and is left out.
        """
        with torch.autocast(table.users.device.type, enabled=False):
            one = self._sums(table, itself=table)
            two = self._sums(one, itself=one)
            degrees = (self.user_degree, self.item_degree)
            scores = []
            for e, first, second, degree in zip(table, one, two, degrees, strict=True):
                around = first + second - degree[:, None] * e
                scores.append(F.logsigmoid((F.normalize(around) * F.normalize(e)).sum(1)))
            return torch.cat(scores)

    def _sums(self, x: Embeddings, itself: Embeddings) -> Embeddings:
        """Sums over neighbours."""
        ones = x.users.new_ones(len(self.interactions))
        users = self.interactions.product(ones, x.items)
        items = self.interactions.product(ones, x.users, transposed=True)
        if self.options.subtract_itself:
            return Embeddings(users - itself.users, items - itself.items)
        return Embeddings(users, items)

    def _around(self, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Which interactions are left when those around seeds are gone, bool [m]; and the nodes reached, bool [n]."""
        users, items = self.interactions.row, self.interactions.column + self.n_users
        keep = torch.ones_like(users, dtype=torch.bool)
        reached = torch.zeros(self.nodes, dtype=torch.bool, device=users.device)
        current = reached.index_fill(0, seeds, True)
        for remaining in range(self.options.mask_depth, 0, -1):
            reached = reached | current
            gone = keep & (current[users] | current[items])
            keep = keep & ~gone
            if remaining > 1:
                current = torch.zeros_like(current)
                current[users[gone]] = True
                current[items[gone]] = True
        return keep, reached

    def _restoring(self, masked: Tensor, encoder: Pattern, draw: Draws) -> Tensor:
        """Places of the decoder's graph of a training step, as `row * n + column`.

        As many random pairs of masked nodes as there are interactions, counted both ways; every node itself; and what
        the encoder still has.
        """
        nodes = masked.nonzero()[:, 0]
        count = 2 * len(self.interactions)
        left = nodes[draw.repeated("pair rows", count, len(nodes))]
        right = nodes[draw.repeated("pair columns", count, len(nodes))]
        return torch.cat([left * self.nodes + right, right * self.nodes + left, self._own_keys(), self._keys(encoder)])

    def _whole_keys(self) -> Tensor:
        """Places of the decoder's graph in evaluation."""
        both_ways = self._keys(self.interactions)
        return torch.cat([both_ways, self._own_keys()]) if self.options.evaluate_with_itself else both_ways

    def _own_keys(self) -> Tensor:
        return torch.arange(self.nodes, device=self.interactions.row.device) * (self.nodes + 1)

    def _keys(self, interactions: Pattern) -> Tensor:
        users, items = interactions.row, interactions.column + self.n_users
        return torch.cat([users * self.nodes + items, items * self.nodes + users])

    def _decoder(self, keys: Tensor, *, rounded: bool) -> Pattern:
        """The pattern of places, each once; `rounded` finds their rows as the published code does."""
        keys = keys.unique()
        column = keys % self.nodes
        row = (keys - column) / self.nodes if rounded else keys // self.nodes
        return Pattern(torch.stack([row.long(), column], 1), self.nodes, self.nodes)

    def _normalised(self, interactions: Pattern) -> Tensor:
        """D^-1/2 A D^-1/2, by the degrees of what is there."""
        users, items = (degrees.to(self.user_degree.dtype) for degrees in _degrees(interactions))
        return (users[interactions.row] * items[interactions.column]).rsqrt()


def _degrees(interactions: Pattern) -> tuple[Tensor, Tensor]:
    """Of users and items, int64."""
    n_users, n_items = interactions.shape
    return torch.bincount(interactions.row, minlength=n_users), torch.bincount(interactions.column, minlength=n_items)
