"""Popularity: the same list for everybody, the floor every personalised model must clear.

Equation: score(u, i) = number of training interactions of i.
Relations: on data with a strong head this is a serious baseline; equal counts are ordered by the evaluator's seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recsys.batches.base import Queries
from recsys.models.base import ClosedFormRecommender, Newcomer

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.popularity import PopularityOptions


class Popularity(ClosedFormRecommender):
    """Counts of training interactions.

    Attributes:
        counts: float32 [n_items].
    """

    counts: Tensor

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(n_items))

    @property
    def inductive(self) -> frozenset[Newcomer]:
        """See `Recommender.inductive`: users, who get everybody's list."""
        return frozenset({"user"})

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: PopularityOptions, generator: torch.Generator
    ) -> Popularity:
        """See `recsys.models.build`."""
        return cls(dataset.n_items)

    def compute(self, dataset: Dataset) -> None:
        """See `ClosedFormRecommender.compute`."""
        self.counts = torch.from_numpy(dataset.popularity).to(self.counts)

    def scores(self, queries: Queries) -> Tensor:
        """See `Recommender.scores`."""
        return self.counts.expand(len(queries), -1)
