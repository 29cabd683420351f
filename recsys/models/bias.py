"""The baseline predictor of ratings: the mean, and how far users and items are from it.

Paper: Koren, "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering", TKDD 2010, section 2.1.
Equations: y = m + b_u + b_i, with m the mean of the training ratings, R(.) who rated or was rated in training, and
    b_i = sum_{u in R(i)} (r_ui - m - b_u) / (s_i + |R(i)|),    b_u = sum_{i in R(u)} (r_ui - m - b_i) / (s_u + |R(u)|).
One sweep estimates all b_i with b_u = 0, and then all b_u: the paper's first way, with its s_i = 25 and s_u = 10. More
sweeps take turns and go to the least of sum (r_ui - m - b_u - b_i)^2 + s_u sum b_u^2 + s_i sum b_i^2: its second way.
Deviations: the second way is computed by turns in place of gradient descent.
Relations: what every model of ratings has to clear; with `users: false` or `items: false` it is the (shrunken) mean of
each item or user, without both the mean of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from recsys.data.ratings import known_ratings
from recsys.models.base import ClosedFormRecommender

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.bias import BiasOptions


class Bias(ClosedFormRecommender):
    """See the module.

    Attributes:
        mean: float64 [].
        users: float64 [n_users].
        items: float64 [n_items].
    """

    mean: Tensor
    users: Tensor
    items: Tensor

    def __init__(self, n_users: int, n_items: int, options: BiasOptions) -> None:
        super().__init__()
        self.options = options
        for name, shape in (("mean", ()), ("users", (n_users,)), ("items", (n_items,))):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: BiasOptions, generator: torch.Generator) -> Bias:
        """See `recsys.models.build`."""
        return cls(dataset.n_users, dataset.n_items, options)

    def compute(self, dataset: Dataset) -> None:
        """See `ClosedFormRecommender.compute`.

        Raises:
            DataError: the data have no ratings, or one is missing.
        """
        ratings = known_ratings(dataset, "train").astype(np.float64)
        mean = ratings.mean() if len(ratings) else 0.0
        user, item = dataset.train.T
        users, items = np.zeros(dataset.n_users), np.zeros(dataset.n_items)
        for _ in range(self.options.sweeps):
            if self.options.items:
                items = _shrunken(ratings - mean - users[user], item, len(items), self.options.item_shrinkage)
            if self.options.users:
                users = _shrunken(ratings - mean - items[item], user, len(users), self.options.user_shrinkage)
        for name, values in (("mean", np.array(mean)), ("users", users), ("items", items)):
            setattr(self, name, torch.from_numpy(values).to(getattr(self, name)))

    def rate(self, pairs: Tensor) -> Tensor:
        """See `Recommender.rate`."""
        user, item = pairs.unbind(1)
        return (self.mean + self.users[user] + self.items[item]).float()


def _shrunken(left: np.ndarray, owner: np.ndarray, size: int, shrinkage: float) -> np.ndarray:
    """Each owner's sum of what is left, float64 [size], over its count and the shrinkage; 0 for nobody's."""
    sums, counts = np.bincount(owner, left, size), np.bincount(owner, minlength=size)
    return sums / np.maximum(counts + shrinkage, 1e-12)
