"""SimGCL: nodes are to be recognised between two passes over the graph with different noise on their embeddings.

Paper: Yu et al., "Are Graph Augmentations Necessary? Simple Graph Contrastive Learning for Recommendation", SIGIR 2022.
Equations: E_{l+1} = A E_l + e sign(A E_l) * U / |U| with U uniform for each layer and node (7), e 0 for the pass that
scores; the mean of E_1 .. E_L is the final embedding; the contrast is that of `sgl` between two passes with noise (3).
Loss: BPR, plus `l2` times a penalty, plus `contrast` times the contrast.
Deviations: candidates are all users or items of the second view, as in SSLRec and RLMRec; SimGCL's own code takes those
of the batch.
Options: RLMRec's code sums layers, the one before propagation among them, and penalises all parameters (`released`).
Relations: without the contrast it is `lightgcn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from recsys.aligners.base import Embeddings
from recsys.draws import Draws
from recsys.graph.noise import noisy_views
from recsys.graph.smoothing import SmoothingGraph
from recsys.models.parts.graph_recommender import Propagated
from recsys.models.parts.views import ContrastedModel, Views

if TYPE_CHECKING:
    from recsys.models.options.simgcl import SimGclOptions


class SimGCL(ContrastedModel):
    """See the module, and `PairwiseGraphModel` for the arguments."""

    options: SimGclOptions

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, options: SimGclOptions, generator: torch.Generator
    ) -> None:
        super().__init__(edges, n_users, n_items, options, generator)
        self.options = options
        self.graph = SmoothingGraph(edges, n_users, n_items)

    def propagate(self, start: Embeddings, draw: Draws) -> Propagated:
        """See `GraphRecommender.propagate`; in training, `Views`."""
        options = self.options
        first: Literal[0, 1] = 0 if options.initial else 1
        if not self.training or not options.contrast:
            return Propagated(Embeddings(*self.graph(*start, options.layers, pooling=options.pooling, first=first)))
        nodes, dim = sum(self.sizes), self.embedding_dim

        def noise() -> tuple[Tensor, Tensor]:
            return draw.uniform("noise", nodes, dim), draw.uniform("noise", nodes, dim)

        passes = noisy_views(
            self.graph,
            *start,
            layers=options.layers,
            pooling=options.pooling,
            first=first,
            length=options.noise,
            noise=noise,
        )
        return Views(*(Embeddings(*tables) for tables in passes))
