"""RP3beta: three steps of a random walk from the user, with popular items held back.

Paper: Paudel, Christoffel, Newell, Bernstein, "Updatable, Accurate, Diverse, and Scalable Recommendations for
Interactive Applications", ACM TiiS 2017.
Equations: with the transition probabilities P_iu = X_ui / d_i and P_uj = X_uj / d_u (d are degrees), each raised to
the power alpha, W_ij = sum_u P_iu^alpha P_uj^alpha / d_j^beta. score(u, .) = X_u W. With `neighbours`, each row of W
keeps its largest entries.
Deviations: the first step's factor (1 / d_u)^alpha is the same for all items of a user and is left out; the walk is
summed exactly, not sampled; the walk back to the item it came from is left out.
Cost: as `item_knn`.
Relations: alpha 1 and beta 0 is the walk P3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch

from recsys.models.parts.co_occurrences import co_occurrences
from recsys.models.parts.item_item import Rows, Similarity

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.rp3beta import Rp3betaOptions


class Rp3beta(Similarity):
    """See the module, and `ItemItem`.

    Args:
        alpha: power of the transition probabilities.
        beta: power of an item's degree, by which its scores are divided.
    """

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, *, neighbours: int | None, alpha: float, beta: float
    ) -> None:
        super().__init__(edges, n_users, n_items, neighbours=neighbours)
        self.alpha, self.beta = alpha, beta

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: Rp3betaOptions, generator: torch.Generator
    ) -> Rp3beta:
        """See `recsys.models.build`."""
        sizes = dataset.n_users, dataset.n_items
        return cls(dataset.train, *sizes, neighbours=options.neighbours, alpha=options.alpha, beta=options.beta)

    def rows(self, x: sp.csr_array) -> Rows:
        """See `Similarity.rows`."""
        user_degree, item_degree = (np.maximum(x.sum(axis=axis), 1.0) for axis in (1, 0))
        norms = item_degree**self.alpha, item_degree**self.beta
        return co_occurrences(x, user_degree**-self.alpha, *norms, 0.0, self.neighbours)
