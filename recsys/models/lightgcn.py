"""LightGCN: matrix factorisation whose embeddings are smoothed over the user-item graph.

Paper: He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", SIGIR 2020.
Equations: E_{l+1} = D^-1/2 A D^-1/2 E_l (8); E = mean of E_0 .. E_L (4, with alpha = 1/(L+1)); score = E_u . E_i.
Loss: BPR plus `l2` times a penalty on the rows of E_0 in the batch.
Deviations: Xavier-uniform initial embeddings as in the paper's text (the authors' code draws N(0, 0.1)); negatives by
`recsys.batches.triplets`; the mean is a Horner scheme, so no layer is stored.
Options: RLMRec's code sums the layers, drops entries of the graph while it trains, without scaling what is left, and
penalises all parameters (`released`).
Relations: no layers is `mf_bpr`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from recsys.aligners.base import Embeddings
from recsys.draws import Draws
from recsys.graph.smoothing import Hops, SmoothingGraph
from recsys.models.parts.graph_recommender import Propagated
from recsys.models.parts.pairwise_graph import PairwiseGraphModel

if TYPE_CHECKING:
    from recsys.batches.triplets import Triplets
    from recsys.models.options.lightgcn import LightGcnOptions


class LightGCN(PairwiseGraphModel):
    """See the module, and `PairwiseGraphModel` for the arguments."""

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, options: LightGcnOptions, generator: torch.Generator
    ) -> None:
        super().__init__(edges, n_users, n_items, options, generator)
        self.options = options
        self.graph = SmoothingGraph(edges, n_users, n_items)

    def propagate(self, start: Embeddings, draw: Draws) -> Propagated:
        """See `GraphRecommender.propagate`; in training, over the entries that are kept."""
        options = self.options
        hops: Hops | None = None
        if self.training and options.edge_keep < 1:
            kept = draw.kept("edges", 2 * self.graph.edges, options.edge_keep)
            hops = self.graph.thinned(kept, 1 / options.edge_keep if options.rescale else 1.0)
        return Propagated(Embeddings(*self.graph(*start, options.layers, pooling=options.pooling, hops=hops)))

    def propagate_for(self, batch: Triplets, start: Embeddings, draw: Draws) -> Propagated:
        """See `GraphRecommender.propagate_for`: the batch's rows alone, unless others are read or edges dropped."""
        options = self.options
        if self.side is not None or self.aligner.reads_final or options.edge_keep < 1:
            return self.propagate(start, draw)
        items = torch.cat([batch.positive, batch.negative])
        reach = self.graph.reach(start.users, options.layers, batch.user, items)
        if reach is None:
            return self.propagate(start, draw)
        final = self.graph(*start, options.layers, pooling=options.pooling, reach=reach)
        return Propagated(Embeddings(*final), places=batch.among(*reach.rows))
