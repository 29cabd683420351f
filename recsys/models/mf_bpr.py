"""MF-BPR: matrix factorisation for ranking.

Paper: Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.
Equations: score(u, i) = p_u . q_i; loss = -mean ln sigmoid(p_u . q_i - p_u . q_j) + l2 * penalty(p_u, q_i, q_j).
Deviations: mini-batches with Adam instead of single-triplet SGD; no item bias; one l2 for users and items.
Relations: `lightgcn` with no layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.models.base import EmbeddingRecommender, embedding_table
from recsys.objectives.bpr import batch_l2, bpr

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.mf_bpr import MfBprOptions


class MfBpr(EmbeddingRecommender):
    """See the module.

    Args:
        n_users, n_items: the sizes.
        dim: length of an embedding.
        l2: weight of the penalty.
        l2_kind: see `batch_l2`.
        generator: draws the initial embeddings, users first.
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
        *,
        dim: int,
        l2: float,
        l2_kind: Literal["squared", "norm"],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.l2, self.l2_kind = l2, l2_kind
        self.embedding_dim = dim
        self.user_embedding = embedding_table(n_users, dim, generator)
        self.item_embedding = embedding_table(n_items, dim, generator)

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: MfBprOptions, generator: torch.Generator) -> MfBpr:
        """See `recsys.models.build`."""
        sizes = dataset.n_users, dataset.n_items
        return cls(*sizes, dim=options.dim, l2=options.l2, l2_kind=options.l2_kind, generator=generator)

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`."""
        return self.with_side(self.user_embedding, self.item_embedding)

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr` and `l2`; see `TrainedRecommender.loss`."""
        user, positive, negative, penalty = batch_l2(self.user_embedding, self.item_embedding, batch, self.l2_kind)
        if self.side is not None:
            users, items = self()
            user, positive, negative = (
                lookup(users, batch.user),
                lookup(items, batch.positive),
                lookup(items, batch.negative),
            )
        return {"bpr": bpr(user, positive, negative, batch.weight), "l2": self.l2 * penalty}
