"""The base class of graph models that are trained by BPR on their final embeddings, with an L2 penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.models.base import embedding_table
from recsys.models.parts.graph_recommender import GraphRecommender, Propagated
from recsys.objectives.bpr import batch_l2, bpr, parameter_l2

if TYPE_CHECKING:
    from typing import Self

    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.pairwise_graph import PairwiseGraphOptions


class PairwiseGraphModel(GraphRecommender):
    """Embedding tables of users and items, and the loss terms `bpr` and `l2`; subclasses implement `propagate`.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: how many users and items there are.
        options: the options of the family.
        generator: draws the initial embeddings, users first.
    """

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        options: PairwiseGraphOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.sizes, self.embedding_dim = (n_users, n_items), options.aligner.start_dim(options.dim)
        self.l2, self.l2_kind = options.l2, options.l2_kind
        self.user_embedding = embedding_table(n_users, options.dim, generator)
        self.item_embedding = embedding_table(n_items, options.dim, generator)

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: Any, generator: torch.Generator) -> Self:
        """See `recsys.models.build`."""
        return cls(dataset.train, dataset.n_users, dataset.n_items, options, generator)

    def terms(self, passed: Propagated, batch: Triplets) -> dict[str, Tensor]:
        """See `GraphRecommender.terms`: `bpr` and `l2`."""
        (users, items), at = self.with_side(*passed.final), passed.places or batch
        rows = lookup(users, at.user), lookup(items, at.positive), lookup(items, at.negative)
        return {"bpr": bpr(*rows, batch.weight), "l2": self.l2 * self._penalty(batch)}

    def _penalty(self, batch: Triplets) -> Tensor:
        if self.l2_kind == "all":
            return parameter_l2(self.parameters())
        *_, penalty = batch_l2(self.user_embedding, self.item_embedding, batch, self.l2_kind)
        return penalty
