"""LATTICE: items are smoothed over a graph that is mined from their features.

Paper: Zhang et al., "Mining Latent Structures for Multimedia Recommendation", MM 2021.
Equations, with the fixed and the learned graph S0_m and S_m of each modality (see `recsys.models.parts.item_graph`),
lambda the fixed share, and E LightGCN's embeddings:
    A = sum_m a_m (lambda S0_m + (1 - lambda) S_m),   a = softmax(w)
    h_0 = E_0,  h_{l+1} = A h_l,   item = E_i + h_i / |h_i|,   score = E_u . item
Loss: BPR plus `l2` times a penalty on the batch's final rows.
Deviations: the published code normalises the mixture of learned graphs, learns the raw features, learns its graphs in
the first step of an epoch only and propagates on D^-1 (A + I): options `normalise`, `learn_features`, `rebuild`,
`graph`. In its other steps it also lets Adam's momentum go on moving the graphs' parameters, and its learning rate
falls by 4 % in 50 epochs; neither is done here. Its NGCF variant is left out; `layers: 0` is its MF variant.
Relations: `micro` fuses modalities by attention; with one modality and no contrastive loss they are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from recsys.augmentation import FeatureMatrix
from recsys.batches.triplets import Triplets
from recsys.graph.knn import row_sums, symmetric
from recsys.models.parts.item_graph import ItemGraphModel, Searched

if TYPE_CHECKING:
    from recsys.models.options.lattice import LatticeOptions


class LATTICE(ItemGraphModel):
    """See the module; arguments as for `ItemGraphModel`. Several modalities begin with equal weights."""

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        modalities: Mapping[str, FeatureMatrix],
        options: LatticeOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__(edges, n_users, n_items, modalities, options, generator)
        self.options = options
        self.modality_weight = nn.Parameter(torch.zeros(len(modalities))) if len(modalities) > 1 else None

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr` and `l2`; see `TrainedRecommender.loss`."""
        return self.ranking(self.smoothed(), batch)

    def smoothed(self) -> Tensor:
        """See `ItemGraphModel.smoothed`."""
        parts = self.parts()
        h: Tensor = self.item_embedding
        for _ in range(self.options.item_layers):
            h = torch.stack([part @ h for part in parts]).sum(0)
        return h

    def shares(self) -> Tensor:
        """What each modality counts, [modalities], summing to 1."""
        return super().shares() if self.modality_weight is None else self.modality_weight.softmax(0)

    def weighted(self, graphs: list[Searched]) -> list[Searched]:
        """See `ItemGraphModel.weighted`."""
        learned_share, shares = 1 - self.options.fixed_share, self.shares()
        degree: Tensor | None = None
        if self.options.normalise == "mixed" and graphs:
            sums = [share * row_sums(values, pattern) for share, (pattern, values) in zip(shares, graphs, strict=True)]
            degree = torch.stack(sums).sum(0)
        return [
            Searched(pattern, learned_share * share * symmetric(values, pattern, degree))
            for share, (pattern, values) in zip(shares, graphs, strict=False)
        ]
