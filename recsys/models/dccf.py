"""DCCF: disentangled contrastive collaborative filtering: messages of neighbours and of global intents, contrasted.

Paper: Ren et al., "Disentangled Contrastive Collaborative Filtering", SIGIR 2023.
Equations, with A = D^-1/2 A D^-1/2 of users and items, C the intents of a side (d x K), and h_0 the embeddings:
    local      g = A h                                                              (2)
    intents    t = softmax(h C) C^T, per side                                       (5)
    adaptive   a_x = sum over neighbours j of w_ij h_j / sum of w_ij,   w_ij = (cos(x_i, x_j) + 1) / 2,  x of {g, t}
    h_{l+1} = g + t + a_g + a_t + h_l;   E = h_0 + .. + h_L;   score = E_u . E_i
Loss: BPR, `l2` times a penalty, and `contrast` times the sum over layers and over x of {t, a_g, a_t} of the InfoNCE
between g and x: over the batch's users, and over its positive items, each once, with the batch's as candidates.
Deviations: intents are the expectation, without the reparametrisation noise of the paper's equation 8, as in both
published codes. Adaptive weights are the same in both directions, so they are computed once per interaction; no vector
per edge is ever in memory. Slips of RLMRec's code are options (`released`).
Relations: without intents and adaptive messages a polynomial of A, as `lightgcn` is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.aligners.base import Embeddings
from recsys.batches.triplets import Triplets
from recsys.draws import Draws
from recsys.gather import lookup
from recsys.graph.adjacency import bipartite
from recsys.graph.weighted import Pattern
from recsys.models.base import embedding_table
from recsys.models.parts.graph_recommender import Propagated
from recsys.models.parts.pairwise_graph import PairwiseGraphModel
from recsys.objectives.info_nce import info_nce

if TYPE_CHECKING:
    from recsys.models.options.dccf import DccfOptions


@dataclass(frozen=True)
class Layer:
    """What one layer makes of the embeddings before it.

    Attributes:
        local: g.
        views: t, a_g and a_t.
    """

    local: Embeddings
    views: tuple[Embeddings, Embeddings, Embeddings]


@dataclass(frozen=True)
class PropagatedLayers(Propagated):
    """A pass, and its layers, which the loss contrasts."""

    layers: tuple[Layer, ...]


class DCCF(PairwiseGraphModel):
    """See the module, and `PairwiseGraphModel` for the arguments; intents are drawn after the tables, users' first."""

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, options: DccfOptions, generator: torch.Generator
    ) -> None:
        super().__init__(edges, n_users, n_items, options, generator)
        self.options = options
        self.user_intents = embedding_table(self.embedding_dim, options.intents, generator)
        self.item_intents = embedding_table(self.embedding_dim, options.intents, generator)
        self.to_users, self.to_items = bipartite(edges, n_users, n_items)
        self.interactions = Pattern(edges, n_users, n_items)

    def propagate(self, start: Embeddings, draw: Draws) -> PropagatedLayers:
        """See `GraphRecommender.propagate`; nothing is drawn."""
        users, items = start
        sum_users, sum_items = users, items
        layers = []
        for _ in range(self.options.layers):
            layer = self._layer(Embeddings(users, items))
            for part in (layer.local, *layer.views):
                users, items = users + part.users, items + part.items
            sum_users, sum_items = sum_users + users, sum_items + items
            layers.append(layer)
        return PropagatedLayers(Embeddings(sum_users, sum_items), tuple(layers))

    def _layer(self, h: Embeddings) -> Layer:
        local = Embeddings(self.to_users @ h.items, self.to_items @ h.users)
        intents = Embeddings(_intended(h.users, self.user_intents), _intended(h.items, self.item_intents))
        return Layer(local, (intents, self._adaptive(local, h), self._adaptive(intents, h)))

    def _adaptive(self, compared: Embeddings, h: Embeddings) -> Embeddings:
        """Means of the neighbours' h, weighted by how alike both ends are in `compared`; 0 without neighbours."""
        cosine = self.interactions.dots(F.normalize(compared.users), F.normalize(compared.items))
        weight = (cosine + 1) / 2
        return Embeddings(
            self.interactions.mean(weight, h.items), self.interactions.mean(weight, h.users, transposed=True)
        )

    def terms(self, passed: Propagated, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr`, `l2` and, if it has a weight, `contrast`; see `GraphRecommender.terms`."""
        terms = super().terms(passed, batch)
        if not self.options.contrast:
            return terms
        users, items = (len(ids) for ids in self._contrasted(batch))
        divisors = users, users if self.options.items_by_users else items
        contrast = self.user_embedding.new_zeros(())
        for layer in self.sums(passed, batch):
            for side, divisor in zip(layer, divisors, strict=True):
                contrast = contrast + torch.stack(side).sum() / divisor
        return {**terms, "contrast": self.options.contrast * contrast}

    def sums(self, passed: Propagated, batch: Triplets) -> list[tuple[list[Tensor], list[Tensor]]]:
        """The InfoNCE of each layer, summed over rows: of users and of items, each with t, a_g and a_t."""
        assert isinstance(passed, PropagatedLayers)
        temperature, chosen = self.options.temperature, self._contrasted(batch)
        found = []
        for layer in passed.layers:
            sides: tuple[list[Tensor], list[Tensor]] = ([], [])
            for side, (sums, ids) in enumerate(zip(sides, chosen, strict=True)):
                anchor = lookup(layer.local[side], ids)
                for view in layer.views:
                    other = lookup(view[side], ids)
                    sums.append(info_nce(anchor, other, other, temperature))
            found.append(sides)
        return found

    def _contrasted(self, batch: Triplets) -> tuple[Tensor, Tensor]:
        """The users and items of a batch that are told apart, each once."""
        items = torch.cat([batch.positive, batch.negative]) if self.options.contrast_negatives else batch.positive
        return batch.user.unique(), items.unique()


def _intended(h: Tensor, intents: nn.Parameter) -> Tensor:
    """The mean of a side's intents [d, K], weighted by how a row of h [n, d] attends to them."""
    return (h @ intents).softmax(1) @ intents.T
