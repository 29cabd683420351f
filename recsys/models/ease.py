"""EASE: a linear item-item model in closed form.

Paper: Harald Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
Equations: minimise |X - X B|^2 + lambda |B|^2 with diag(B) = 0 over the binary X [n_users, n_items]. With
P = (X^T X + lambda I)^-1 (equation 8): B_ij = -P_ij / P_jj off the diagonal. score(u, .) = X_u B.
Deviations: none. The inverse is taken in float64 by Cholesky; scores are float32.
Cost: time n_items^3, and about 3 matrices of n_items^2 float64 at the peak (10,000 items: 2.4 GB), one of float32 kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from artefacts.errors import AugrecError
from recsys.models.item_item import ItemItem, incidence

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.ease import EaseOptions

BYTES_PER_PAIR = 3 * 8 + 4


class ZeroDiagonalRidge(ItemItem):
    """Item-item weights learned by ridge regression with a zero diagonal; see `ItemItem`.

    Args:
        l2: lambda.
    """

    def __init__(self, edges: np.ndarray, n_users: int, n_items: int, l2: float) -> None:
        super().__init__(edges, n_users, n_items, bytes_per_pair=BYTES_PER_PAIR)
        self.l2 = l2

    @torch.no_grad()
    def fit(self, dataset: Dataset) -> None:
        """See `ClosedFormRecommender.fit`."""
        x = incidence(dataset)
        try:
            gram = torch.from_numpy((x.T @ x).toarray()).to(self.weights.device)
            self.regularise(gram)
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        except (MemoryError, RuntimeError) as error:
            raise AugrecError(
                f"EASE could not invert a {dataset.n_items} x {dataset.n_items} matrix ({error})",
                remedy=f"it needs about {BYTES_PER_PAIR} n_items^2 bytes: raise dataset.k_core, or leave it out",
            ) from error
        weights = -inverse / inverse.diagonal()
        weights.fill_diagonal_(0.0)
        self.weights.copy_(weights)  # by rows, which scoring sums, where the inverse lies by columns

    def regularise(self, gram: Tensor) -> None:
        """Adds to X^T X (float64 [n_items, n_items], in place) what keeps B small."""
        gram.diagonal().add_(self.l2)


class Ease(ZeroDiagonalRidge):
    """See the module."""

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: EaseOptions, generator: torch.Generator) -> Ease:
        """See `Family.build`."""
        return cls(dataset.train, dataset.n_users, dataset.n_items, options.l2)
