"""SGL: nodes are to be recognised between two views of the graph with different edges left out.

Paper: Wu et al., "Self-supervised Graph Learning for Recommendation", SIGIR 2021, with edge dropout (ED).
Equations: `lightgcn`'s propagation over the whole graph, and over two graphs of a step's own, giving views z' and z''.
    contrast = 1/b sum over triplets (u, p, n) of N(u) + N(p),  N(v) = -ln( exp(cos(z'_v, z''_v) / t)
               / sum over all w of v's side of exp(cos(z'_v, z''_w) / t) )   (10)
Loss: BPR, plus `l2` times a penalty, plus `contrast` times the above.
Deviations: each direction of an edge is dropped for itself and degrees stay, as in SSLRec and RLMRec.
Options: RLMRec's code sums layers, does not scale what is left of a graph, penalises all parameters, and has the
negative items in the contrast (`released`).
Relations: without the contrast it is `lightgcn`; `simgcl` disturbs embeddings instead of the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from recsys.aligners.base import Embeddings
from recsys.draws import Draws
from recsys.graph.smoothing import Hops, SmoothingGraph
from recsys.models.parts.graph_recommender import Propagated
from recsys.models.parts.views import ContrastedModel, Views

if TYPE_CHECKING:
    from recsys.models.options.sgl import SglOptions


class SGL(ContrastedModel):
    """See the module, and `PairwiseGraphModel` for the arguments."""

    options: SglOptions

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, options: SglOptions, generator: torch.Generator
    ) -> None:
        super().__init__(edges, n_users, n_items, options, generator)
        self.options, self.contrast_negatives = options, options.contrast_negatives
        self.graph = SmoothingGraph(edges, n_users, n_items)

    def propagate(self, start: Embeddings, draw: Draws) -> Propagated:
        """See `GraphRecommender.propagate`; in training, `Views`."""
        final = self._passed(start, None)
        if not self.training or not self.options.contrast:
            return Propagated(final)
        return Views(final, self._passed(start, self._thinned(draw)), self._passed(start, self._thinned(draw)))

    def _thinned(self, draw: Draws) -> Hops:
        keep = self.options.edge_keep
        return self.graph.thinned(
            draw.kept("edges", 2 * self.graph.edges, keep), 1 / keep if self.options.rescale else 1.0
        )

    def _passed(self, start: Embeddings, hops: Hops | None) -> Embeddings:
        return Embeddings(*self.graph(*start, self.options.layers, pooling=self.options.pooling, hops=hops))
