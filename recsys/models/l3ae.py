"""L3AE: an item-item model that first learns from the text alone, and is then drawn to that while it learns from users.

Paper: Moon et al., "LLM-Enhanced Linear Autoencoders for Recommendation", CIKM 2025 (arXiv 2508.13500).
Equations: with the items' vectors F [n_items, d] and the training interactions X,
    1. C minimises |F^T - F^T C|^2 + text_l2 |C|^2 with diag(C) = 0;
    2. B minimises |X - X B|^2 + lambda |B|^2 + pull |B - C|^2 with diag(B) = 0;
    score(u, .) = X_u B.
With P = (X^T X + l2 I)^-1, where l2 = lambda + pull, and Z = P C:
    B_ij = pull Z_ij - P_ij (1 + pull Z_jj) / P_jj off the diagonal.
Options beyond the paper: `activity`, as of `ease`.
Deviations: vectors have length 1 (`centred`: after their mean is subtracted), so that `text_l2` means the same for
every encoder; several modalities have the mean of their Gram matrices. An item without a vector has no part in C.
Where vectors are dense and shorter than there are items, C is never made. With W W^T = F (F^T F + text_l2 I)^-1 F^T and
w_j = |W_j|^2, C_ij = W_i . W_j / (1 - w_j) off the diagonal, so that
    Z = (P W) (W / (1 - w))^T - P diag(w / (1 - w)).
Longer ones, and those that are mostly zeros, such as words, are solved for by their Gram matrix.
Cost: as `ease`, plus n_items^2 d; by the Gram matrix, another inverse and a product of n_items^3, and a third matrix.
Relations: pull 0 is `ease`; with lambda = 0 and ever larger pull it is C, the text alone. `ease_text` solves for one B
that fits both at once. The paper's best lambda on one data set is negative (-50 with a pull of 150): `pull` above `l2`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from recsys.models.ease import ZeroDiagonalRidge
from recsys.models.parts.cosines import (
    add_sparse_cosines,
    centred_unit_rows,
    is_sparse,
    side_by_side,
    unit_rows,
)
from recsys.models.parts.definite_inverse import ROWS, inverted
from recsys.models.parts.item_item import incidence
from recsys.models.parts.modalities import modalities_of

if TYPE_CHECKING:
    from recsys.augmentation import FeatureMatrix, SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.l3ae import L3aeOptions


class L3ae(ZeroDiagonalRidge):
    """See the module, and `ZeroDiagonalRidge`.

    Args:
        l2, pull, text_l2, centred, activity: see `L3aeOptions`.
        features: the item modalities, one row per item each; none is as `pull` 0.

    Attributes:
        vectors: float64 [n_items, d], F; d is 0 where its Gram matrix is made instead.
    """

    vectors: Tensor

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        *,
        l2: float,
        pull: float,
        text_l2: float,
        centred: bool = False,
        activity: float = 0.0,
        features: Iterable[FeatureMatrix] = (),
    ) -> None:
        super().__init__(edges, n_users, n_items, l2, activity=activity)
        self.pull, self.text_l2, self.centred = pull, text_l2, centred
        self.features = list(features)
        short = sum(matrix.dim for matrix in self.features) < n_items and not any(map(is_sparse, self.features))
        rows = map(self._unit, self.features if short else ())
        self.register_buffer("vectors", side_by_side(rows, n_items), persistent=False)

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: L3aeOptions, generator: torch.Generator) -> L3ae:
        """See `recsys.models.build`.

        Raises:
            DataError: `pull` is above 0 and there are no item features, or not one row of them per item.
        """
        features = modalities_of(options.family, side, options) if options.pull else {}
        side.check(dataset.n_users, dataset.n_items)
        return cls(
            dataset.train,
            dataset.n_users,
            dataset.n_items,
            l2=options.l2,
            pull=options.pull,
            text_l2=options.text_l2,
            centred=options.centred,
            activity=options.activity,
            features=features.values(),
        )

    @torch.no_grad()
    def compute(self, dataset: Dataset) -> None:
        """See `ClosedFormRecommender.compute`."""
        if not self.pull or not self.features:
            super().compute(dataset)
            return
        inverse = self.inverse(incidence(dataset))
        if self.vectors.shape[1]:
            self._weigh_by_vectors(inverse)
        else:
            self._weigh_by_gram(inverse)
        self.weights.fill_diagonal_(0.0)

    def _weigh_by_vectors(self, inverse: Tensor) -> None:
        """B from P, but for its diagonal."""
        smooth = self._smoother()
        own = smooth.square().sum(dim=1)
        scaled, own = smooth / (1 - own)[:, None], own / (1 - own)
        spread = inverse @ smooth
        diagonal = inverse.diagonal()
        on_diagonal = (spread * scaled).sum(dim=1) - diagonal * own  # of Z
        factor = self.pull * own + (1 + self.pull * on_diagonal) / diagonal
        for start in range(0, self.n_items, ROWS):
            part = slice(start, start + ROWS)
            rows = torch.addmm(inverse[part] * factor, spread[part], scaled.T, beta=-1, alpha=self.pull)
            self.weights[part] = rows.to(self.weights)

    def _weigh_by_gram(self, inverse: Tensor) -> None:
        """B from P, but for its diagonal."""
        alone = inverted(self._gram().to(inverse))
        alone /= -alone.diagonal().clone()
        alone.fill_diagonal_(0.0)  # C
        diagonal = inverse.diagonal()
        on_diagonal = (inverse * alone.T).sum(dim=1)  # of Z
        factor = (1 + self.pull * on_diagonal) / diagonal
        for start in range(0, self.n_items, ROWS):
            part = slice(start, start + ROWS)
            rows = torch.addmm(inverse[part] * factor, inverse[part], alone, beta=-1, alpha=self.pull)
            self.weights[part] = rows.to(self.weights)

    def _gram(self) -> Tensor:
        """F F^T + text_l2 I, float64 [n_items, n_items]."""
        gram = torch.zeros(self.n_items, self.n_items, dtype=torch.float64)
        share = 1 / len(self.features)
        for matrix in self.features:
            if is_sparse(matrix):
                add_sparse_cosines(gram, matrix, share, centred=self.centred)
            else:
                dense = self._unit(matrix)
                gram.addmm_(dense, dense.T, alpha=share)
        gram.diagonal().add_(self.text_l2)
        return gram

    def _unit(self, matrix: FeatureMatrix) -> Tensor:
        return centred_unit_rows(matrix) if self.centred else unit_rows(matrix)

    def _smoother(self) -> Tensor:
        """W, float64 [n_items, d]: W W^T is the ridge regression of the vectors on themselves."""
        gram = self.vectors.T @ self.vectors
        gram.diagonal().add_(self.text_l2)
        root = torch.linalg.cholesky(gram)
        return torch.linalg.solve_triangular(root, self.vectors.T, upper=False).T
