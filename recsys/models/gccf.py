"""GCCF: linear propagation whose layers are laid side by side, so that scores add up over layers.

Paper: Chen et al., "Revisiting Graph Based Collaborative Filtering: A Linear Residual Graph Convolutional Network
Approach", AAAI 2020.
Equations: E_{l+1} = S E_l with S = D^-1/2 (A + I) D^-1/2, D the degrees of A + I (5);   E = E_0 || .. || E_L,
score = E_u . E_i = the sum over layers of the layer's own scores (11).
Loss: BPR plus `l2` times a penalty.
Deviations: without the weights of layers, as in the code of SSLRec and RLMRec, which SGC (Wu et al., ICML 2019)
justifies; Xavier-uniform start.
Options: RLMRec's code has no self-loops where it aligns, penalises all parameters, and has weights that nothing reads.
Relations: `lightgcn` pools the layers instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from recsys.aligners.base import Embeddings
from recsys.draws import Draws
from recsys.graph.adjacency import adjacency, adjacency_with_self
from recsys.models.base import embedding_table
from recsys.models.parts.graph_recommender import Propagated
from recsys.models.parts.pairwise_graph import PairwiseGraphModel

if TYPE_CHECKING:
    from recsys.models.options.gccf import GccfOptions


class GCCF(PairwiseGraphModel):
    """See the module, and `PairwiseGraphModel` for the arguments."""

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, options: GccfOptions, generator: torch.Generator
    ) -> None:
        super().__init__(edges, n_users, n_items, options, generator)
        self.options = options
        self.embedding_dim = (options.layers + 1) * options.aligner.start_dim(options.dim)
        self.graph = (adjacency_with_self if options.self_loops else adjacency)(edges, n_users, n_items)
        weights = options.layers if options.unused_weights else 0
        self.unused = nn.ParameterList(embedding_table(options.dim, options.dim, generator) for _ in range(weights))

    def propagate(self, start: Embeddings, draw: Draws) -> Propagated:
        """See `GraphRecommender.propagate`; nothing is drawn."""
        users, items = self.graph.powers(torch.cat(start), self.options.layers).split(self.sizes)
        return Propagated(Embeddings(users, items))
