"""MF-BPR by LearnBPR, the algorithm that it was published with: descent along single triplets.

Paper: Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009 (figure 4).
Equations: score(u, i) = p_u . q_i + b_i; for each drawn (u, i, j) a step of gradient descent on
-ln sigmoid(score(u, i) - score(u, j)) + l2 / 2 (|p_u|^2 + |q_i|^2 + |q_j|^2 + b_i^2 + b_j^2); see
`recsys.models.parts.triplet_descent`.
Deviations: items have biases, as in implementations since; one l2 for users, positives and negatives.
Cost: an epoch has as many steps as there are interactions, each of 3 dim numbers; no table is passed over.
Relations: `mf_bpr` is the same model with batches and Adam, and takes suggested edges and side features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from recsys.batches.single_triplets import DrawnTriplets, SingleTriplets
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.models.base import EmbeddingRecommender, embedding_table
from recsys.models.options.mf_bpr_sgd import check_steps
from recsys.models.parts.triplet_descent import descend
from recsys.objectives.bpr import bpr, rows_l2

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.mf_bpr_sgd import MfBprSgdOptions
    from recsys.training.job import FitJob


class MfBprSgd(EmbeddingRecommender):
    """See the module.

    Args:
        n_users, n_items: the sizes.
        dim: length of an embedding.
        l2: weight of the penalty.
        generator: draws the initial embeddings, users first.
    """

    def __init__(self, n_users: int, n_items: int, *, dim: int, l2: float, generator: torch.Generator) -> None:
        super().__init__()
        self.l2, self.embedding_dim = l2, dim
        self.learning_rate = 0.0  # of the training: see `batches`
        self.user_embedding = embedding_table(n_users, dim, generator)
        self.item_embedding = embedding_table(n_items, dim, generator)
        self.item_bias = nn.Parameter(torch.zeros(n_items))

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: MfBprSgdOptions, generator: torch.Generator
    ) -> MfBprSgd:
        """See `recsys.models.build`."""
        return cls(dataset.n_users, dataset.n_items, dim=options.dim, l2=options.l2, generator=generator)

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`; the last dimension of an item is its bias, and 1 for every user."""
        ones = self.user_embedding.new_ones(len(self.user_embedding), 1)
        return torch.cat([self.user_embedding, ones], 1), torch.cat([self.item_embedding, self.item_bias[:, None]], 1)

    def batches(self, job: FitJob) -> SingleTriplets:
        """See `TrainedRecommender.batches`.

        Raises:
            UsageError: a training option means something else than single steps of one process.
        """
        check_steps(job.training)
        self.learning_rate = job.training.lr
        data = job.dataset
        return SingleTriplets(data.train, data.n_users, data.n_items, job.generator("sampler", "cpu"))

    def loss(self, batch: DrawnTriplets | Triplets) -> dict[str, Tensor]:
        """Term `bpr` of drawn triplets, along which the embeddings have been moved: nothing is left to an optimiser.

        Of other triplets `bpr` and `l2` as they stand, with gradients: a step follows those of a single one.
        """
        if isinstance(batch, Triplets):
            known, listed = self()
            positive, negative = lookup(listed, batch.positive), lookup(listed, batch.negative)
            penalty = rows_l2((lookup(self.user_embedding, batch.user), positive, negative), "squared")
            term = bpr(lookup(known, batch.user), positive, negative, batch.weight)
            return {"bpr": term, "l2": self.l2 * penalty}
        parameters = self.user_embedding, self.item_embedding, self.item_bias
        tables = [parameter.detach().cpu() for parameter in parameters]
        users, items, biases = (table.numpy() for table in tables)
        rate, l2 = np.float32(self.learning_rate), np.float32(self.l2)
        margins = np.empty(len(batch), np.float32)
        descend(users, items, biases, batch.user, batch.positive, batch.negative, rate, l2, margins)
        with torch.no_grad():
            for parameter, table in zip(parameters, tables, strict=True):
                if parameter.device.type != "cpu":  # there the table is the parameter
                    parameter.copy_(table)
        mean = softplus(-torch.from_numpy(margins)).mean().to(self.user_embedding.device)
        return {"bpr": _Followed.apply(mean, *parameters)}


class _Followed(torch.autograd.Function):
    """A loss whose gradients have been followed already: a backward pass leaves the parameters none."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, *parameters: Tensor) -> Tensor:
        ctx.inputs = 1 + len(parameters)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:
        return (None,) * ctx.inputs
