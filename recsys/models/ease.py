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
import scipy.sparse as sp
import torch
from torch import Tensor

from artefacts.errors import AugrecError
from recsys.models.base import ClosedFormRecommender

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.ease import EaseOptions


class Ease(ClosedFormRecommender):
    """Item-item weights learned by ridge regression with a zero diagonal.

    Attributes:
        weights: float32 [n_items, n_items], B.
    """

    weights: Tensor
    pointers: Tensor
    items: Tensor

    def __init__(self, edges: np.ndarray, n_users: int, n_items: int, l2: float) -> None:
        super().__init__()
        self.l2 = l2
        ordered = edges[np.argsort(edges[:, 0], kind="stable")]
        pointers = np.searchsorted(ordered[:, 0], np.arange(n_users + 1))
        self.register_buffer("pointers", torch.from_numpy(pointers), persistent=False)
        self.register_buffer("items", torch.from_numpy(ordered[:, 1].copy()), persistent=False)
        self.register_buffer("weights", torch.zeros(n_items, n_items))

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: EaseOptions, generator: torch.Generator) -> Ease:
        """See `Family.build`."""
        return cls(dataset.train, dataset.n_users, dataset.n_items, options.l2)

    @torch.no_grad()
    def fit(self, dataset: Dataset) -> None:
        """See `ClosedFormRecommender.fit`."""
        users, items = dataset.train.T
        x = sp.coo_array((np.ones(len(users)), (users, items)), shape=(dataset.n_users, dataset.n_items)).tocsr()
        try:
            gram = torch.from_numpy((x.T @ x).toarray()).to(self.weights.device)
            gram.diagonal().add_(self.l2)
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        except (MemoryError, RuntimeError) as error:
            raise AugrecError(
                f"EASE could not invert a {dataset.n_items} x {dataset.n_items} matrix ({error})",
                remedy="it needs about 24 n_items^2 bytes: raise dataset.k_core, or leave this baseline out",
            ) from error
        weights = -inverse / inverse.diagonal()
        weights.fill_diagonal_(0.0)
        self.weights = weights.to(self.weights)

    def scores(self, users: Tensor) -> Tensor:
        """See `Recommender.scores`."""
        return self._history(users) @ self.weights

    def _history(self, users: Tensor) -> Tensor:
        """X_u, float32 [b, n_items]."""
        history = torch.zeros(len(users), self.weights.shape[0], device=users.device)
        begin, length = self.pointers[users], self.pointers[users + 1] - self.pointers[users]
        rows = torch.repeat_interleave(torch.arange(len(users), device=users.device), length)
        offsets = torch.arange(len(rows), device=users.device) - (torch.cumsum(length, 0) - length)[rows]
        history[rows, self.items[begin[rows] + offsets]] = 1.0
        return history
