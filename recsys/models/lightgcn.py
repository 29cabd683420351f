"""LightGCN: matrix factorisation whose embeddings are smoothed over the user-item graph.

Paper: He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", SIGIR 2020.
Equations: E_{l+1} = D^-1/2 A D^-1/2 E_l (8); E = mean of E_0 .. E_L (4, with alpha = 1/(L+1)); score = E_u . E_i.
Loss: BPR plus `l2` times a penalty on the rows of E_0 in the batch.
Deviations: Xavier-uniform initial embeddings as in the paper's text (the authors' code draws N(0, 0.1)); negatives by
`recsys.batches.triplets`; the mean is a Horner scheme, so no layer is stored.
Relations: no layers is `mf_bpr`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from recsys.aligners.base import Embeddings
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.graph.adjacency import SmoothingGraph
from recsys.models.base import embedding_table
from recsys.models.parts.graph_recommender import GraphRecommender, Propagated
from recsys.objectives.bpr import batch_l2, bpr

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.lightgcn import LightGcnOptions


class LightGCN(GraphRecommender):
    """See the module.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        dim: length of an embedding.
        layers: propagation steps.
        l2: weight of the penalty.
        l2_kind: see `batch_l2`.
        generator: draws the initial embeddings, users first.
    """

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        *,
        dim: int,
        layers: int,
        l2: float,
        l2_kind: Literal["squared", "norm"],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.layers, self.l2, self.l2_kind = layers, l2, l2_kind
        self.embedding_dim = dim
        self.user_embedding = embedding_table(n_users, dim, generator)
        self.item_embedding = embedding_table(n_items, dim, generator)
        self.graph = SmoothingGraph(edges, n_users, n_items)

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: LightGcnOptions, generator: torch.Generator
    ) -> LightGCN:
        """See `Family.build`."""
        return cls(
            dataset.train,
            dataset.n_users,
            dataset.n_items,
            dim=options.dim,
            layers=options.layers,
            l2=options.l2,
            l2_kind=options.l2_kind,
            generator=generator,
        )

    def propagate(self, start: Embeddings, draw: torch.Generator) -> Propagated:
        """See `GraphRecommender.propagate`."""
        return Propagated(Embeddings(*self.graph(start.users, start.items, self.layers)))

    def terms(self, passed: Propagated, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr` and `l2`; see `GraphRecommender.terms`."""
        users, items = self.with_side(*passed.final)
        rows = lookup(users, batch.user), lookup(items, batch.positive), lookup(items, batch.negative)
        *_, penalty = batch_l2(self.user_embedding, self.item_embedding, batch, self.l2_kind)
        return {"bpr": bpr(*rows, batch.weight), "l2": self.l2 * penalty}
