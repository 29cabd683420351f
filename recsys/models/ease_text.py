"""EASE with item text: items that read alike are also made to explain each other.

Papers: Jeunen, Van Balen, Goethals, "Closed-Form Models for Collaborative Filtering with Side-Information", RecSys 2020
(collective EASE); of one family with L3AE (CIKM 2025), which brings language-model vectors of items into EASE.
Equations: `ease` with X^T X + alpha K in place of X^T X, where K_ij is the cosine of the vectors of items i and j after
their mean is subtracted. That is EASE on X with the rows sqrt(alpha) T below it, T [d, n_items] being the unit vectors:
B also has to rebuild each item's vector from those of other items. score(u, .) = X_u B.
Deviations: one B is solved for at once; L3AE first solves one for the text alone and then pulls B towards it. Several
modalities have the mean of their K. An item without a vector has zeros in K, and no part in the mean.
Cost: as `ease`, plus n_items^2 d.
Relations: alpha 0 is `ease`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recsys.models.ease import ZeroDiagonalRidge
from recsys.models.modalities import modalities_of

if TYPE_CHECKING:
    from recsys.augmentation import FeatureMatrix, SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.ease_text import EaseTextOptions


class EaseText(ZeroDiagonalRidge):
    """See the module, and `ZeroDiagonalRidge`.

    Args:
        alpha: weight of K.
        features: the item modalities, one row per item each.
    """

    vectors: Tensor

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        *,
        l2: float,
        alpha: float,
        features: Iterable[FeatureMatrix],
    ) -> None:
        super().__init__(edges, n_users, n_items, l2)
        parts = [centred_unit_rows(matrix) for matrix in features]
        self.alpha = alpha
        self.register_buffer("vectors", torch.cat(parts, dim=1) / len(parts) ** 0.5, persistent=False)

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: EaseTextOptions, generator: torch.Generator
    ) -> EaseText:
        """See `Family.build`.

        Raises:
            DataError: there are no item features, or not one row of them per item.
        """
        features = modalities_of(options.family, side, options)
        side.check(dataset.n_users, dataset.n_items)
        return cls(
            dataset.train,
            dataset.n_users,
            dataset.n_items,
            l2=options.l2,
            alpha=options.alpha,
            features=features.values(),
        )

    def regularise(self, gram: Tensor) -> None:
        """See `ZeroDiagonalRidge.regularise`."""
        super().regularise(gram)
        vectors = self.vectors.to(gram)
        gram.addmm_(vectors, vectors.T, alpha=self.alpha)


def centred_unit_rows(matrix: FeatureMatrix) -> Tensor:
    """float64 [n, d]: each vector less the mean of all of them, at length 1. Zeros where there is none, or no rest."""
    dense = torch.from_numpy(matrix.dense()).double()
    there = torch.from_numpy(matrix.mask)
    centred = dense - dense[there].mean(dim=0)
    centred[~there] = 0.0
    size = dense.abs().max()
    return torch.where(centred.norm(dim=1, keepdim=True) > 1e-7 * size, F.normalize(centred, dim=1), 0.0)
