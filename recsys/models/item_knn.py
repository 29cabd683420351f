"""Item-kNN: items that share users speak for each other.

Paper: Deshpande & Karypis, "Item-Based Top-N Recommendation Algorithms", ACM TOIS 2004 (cosine similarity).
Equations: with x_i the column of item i in the binary X and c_ij = x_i . x_j, W_ij = c_ij / (|x_i| |x_j| + shrink) for
i != j. score(u, .) = X_u W. With `neighbours`, row i keeps its largest entries: each item that a user has votes for the
items nearest to it.
Deviations: rows of W are not normalised to sum 1, and the basket's own size plays no part.
Cost: time sum_u |X_u|^2. Memory 4 n_items^2 bytes with all neighbours (10,000 items: 0.4 GB), 8 n_items k with k.
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
    from recsys.models.options.item_knn import ItemKnnOptions


class ItemKnn(Similarity):
    """See the module, and `ItemItem`.

    Args:
        shrink: added to the product of norms; pulls similarities that rest on few users towards 0.
    """

    def __init__(self, edges: np.ndarray, n_users: int, n_items: int, *, neighbours: int | None, shrink: float) -> None:
        super().__init__(edges, n_users, n_items, neighbours=neighbours)
        self.shrink = shrink

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: ItemKnnOptions, generator: torch.Generator
    ) -> ItemKnn:
        """See `recsys.models.build`."""
        sizes = dataset.n_users, dataset.n_items
        return cls(dataset.train, *sizes, neighbours=options.neighbours, shrink=options.shrink)

    def rows(self, x: sp.csr_array) -> Rows:
        """See `Similarity.rows`."""
        norm = np.sqrt(np.maximum(x.sum(axis=0), 1.0))
        return co_occurrences(x, np.ones(x.shape[0]), norm, norm, self.shrink, self.neighbours)
