"""L3AE: an item-item model that first learns from the text alone, and is then drawn to that while it learns from users.

Paper: Moon et al., "LLM-Enhanced Linear Autoencoders for Recommendation", CIKM 2025 (arXiv 2508.13500).
Equations: with the items' vectors F [n_items, d] and the training interactions X,
    1. C minimises |F^T - F^T C|^2 + text_l2 |C|^2 with diag(C) = 0;
    2. B minimises |X - X B|^2 + lambda |B|^2 + pull |B - C|^2 with diag(B) = 0;
    score(u, .) = X_u B.
With P = (X^T X + l2 I)^-1, where l2 = lambda + pull, and Z = P C:
    B_ij = pull Z_ij - P_ij (1 + pull Z_jj) / P_jj off the diagonal.
Deviations: vectors have length 1 (`centred`: after their mean is subtracted), so that `text_l2` means the same for
every encoder; several modalities have the mean of their Gram matrices. An item without a vector has no part in C. The
paper's code holds C, P and Z as three matrices; here C is never made. With W W^T = F (F^T F + text_l2 I)^-1 F^T and
w_j = |W_j|^2, C_ij = W_i . W_j / (1 - w_j) off the diagonal, so that
    Z = (P W) (W / (1 - w))^T - P diag(w / (1 - w)).
Cost: as `ease`, plus n_items^2 d.
Relations: pull 0 is `ease`; with lambda = 0 and ever larger pull it is C, the text alone. `ease_text` solves for one B
that fits both at once. The paper's best lambda on one data set is negative (-50 with a pull of 150): `pull` above `l2`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recsys.models.ease import ROWS, ZeroDiagonalRidge
from recsys.models.parts.cosines import centred_unit_rows, side_by_side
from recsys.models.parts.item_item import incidence
from recsys.models.parts.modalities import modalities_of

if TYPE_CHECKING:
    from recsys.augmentation import FeatureMatrix, SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.l3ae import L3aeOptions


class L3ae(ZeroDiagonalRidge):
    """See the module, and `ZeroDiagonalRidge`.

    Args:
        l2, pull, text_l2, centred: see `L3aeOptions`.
        features: the item modalities, one row per item each; none is as `pull` 0.

    Attributes:
        vectors: float64 [n_items, d], F.
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
        features: Iterable[FeatureMatrix] = (),
    ) -> None:
        super().__init__(edges, n_users, n_items, l2)
        self.pull, self.text_l2 = pull, text_l2
        rows = [centred_unit_rows(matrix) if centred else unit_rows(matrix) for matrix in features]
        self.register_buffer("vectors", side_by_side(rows, n_items), persistent=False)

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: L3aeOptions, generator: torch.Generator) -> L3ae:
        """See `Family.build`.

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
            features=features.values(),
        )

    @torch.no_grad()
    def compute(self, dataset: Dataset) -> None:
        """See `ClosedFormRecommender.compute`."""
        if not self.pull or not self.vectors.shape[1]:
            super().compute(dataset)
            return
        inverse = self.inverse(incidence(dataset))
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
        self.weights.fill_diagonal_(0.0)

    def _smoother(self) -> Tensor:
        """W, float64 [n_items, d]: W W^T is the ridge regression of the vectors on themselves."""
        gram = self.vectors.T @ self.vectors
        gram.diagonal().add_(self.text_l2)
        root = torch.linalg.cholesky(gram)
        return torch.linalg.solve_triangular(root, self.vectors.T, upper=False).T


def unit_rows(matrix: FeatureMatrix) -> Tensor:
    """float64 [n, d]: each vector at length 1; zeros where there is none."""
    return F.normalize(torch.from_numpy(matrix.dense()).double(), dim=1)
