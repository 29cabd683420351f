"""Blend: a weighted sum of the scores of several models.

Source: linear combination of rankers, e.g. Fox & Shaw, "Combination of Multiple Searches", TREC-2, 1994 (CombSUM);
weights on a grid, on validation, as in Vogt & Cottrell, "Fusion Via a Linear Combination of Scores", 1999.
Equations: score(u, i) = sum_m w_m z_m(u, i), w >= 0, sum w = 1. With `standardise`, z_m(u, .) is member m's score less
its mean and divided by its standard deviation over the items that u does not have in training (the candidates: what a
model says of training items is never ranked, and would set the scale); a member that scores all of them alike
contributes 0. Otherwise z_m is the score itself.
How the weights are chosen is `recsys.training.blending`.
Cost: that of the members, whose states are all kept here; time of scoring is the sum over those with a weight.
Relations: weight 1 on a member ranks as that member.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from recsys.models.base import Recommender
from recsys.models.parts.histories import Histories

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.blend import BlendOptions

EQUAL = 1e-7  # a spread below this share of the largest score is rounding


class Blend(Recommender):
    """See the module.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        members: the models, ready to score once `recsys.training.blending` has put their states in.
        standardise: see the module.

    Attributes:
        weights: float64 [members]; equal until they are chosen.
    """

    weights: Tensor

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, members: Sequence[Recommender], *, standardise: bool
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.standardise = standardise
        self.histories = Histories(edges, n_users, n_items)
        self.register_buffer("weights", torch.full((len(members),), 1 / len(members), dtype=torch.float64))

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: BlendOptions, generator: torch.Generator) -> Blend:
        """See `Family.build`."""
        from recsys.models.registry import FAMILIES

        members = [
            FAMILIES.find(member.family).build(dataset, side, member, generator) for member in options.members.values()
        ]
        return cls(dataset.train, dataset.n_users, dataset.n_items, members, standardise=options.standardise)

    def scores(self, users: Tensor) -> Tensor:
        """See `Recommender.scores`."""
        weights = self.weights.tolist()
        used = [position for position, weight in enumerate(weights) if weight > 0]
        return combined(self.member_scores(users, used), [weights[position] for position in used])

    def member_scores(self, users: Tensor, members: Sequence[int] | None = None) -> list[Tensor]:
        """What is summed: z_m(u, .), float32 [b, n_items], of the members at these positions; of all when None."""
        chosen = range(len(self.members)) if members is None else members
        scores = [cast(Recommender, self.members[position]).scores(users) for position in chosen]
        if not self.standardise:
            return scores
        owned = self.histories.contains(users)
        return [standardised(matrix, owned) for matrix in scores]


def combined(scores: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted sum; a score of -inf (never recommended) counts where its weight is not 0."""
    terms = [weight * matrix for matrix, weight in zip(scores, weights, strict=True) if weight > 0]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def standardised(scores: Tensor, owned: Tensor) -> Tensor:
    """Each row at mean 0 and variance 1 over its finite scores outside of `owned` (bool, same shape); float32."""
    counted = ~owned & scores.isfinite()
    count = counted.sum(dim=1, keepdim=True).clamp(min=1)
    values = scores.masked_fill(~counted, 0.0).double()
    mean = values.sum(dim=1, keepdim=True) / count
    spread = ((values - mean).masked_fill(~counted, 0.0).square().sum(dim=1, keepdim=True) / count).sqrt()
    real = spread > EQUAL * values.abs().amax(dim=1, keepdim=True)
    flat = torch.where(scores.isfinite(), 0.0, scores)
    return torch.where(real, (scores - mean) / spread.where(real, 1.0), flat).float()
