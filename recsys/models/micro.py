"""MICRO: items are smoothed over a graph per modality, and what comes of it is fused by attention and contrast.

Paper: Zhang et al., "Latent Structure Mining with Contrastive Modality Fusion for Multimedia Recommendation",
TKDE 2022.
Equations, with the fixed and the learned graph S0_m and S_m of each modality (see `recsys.models.parts.item_graph`),
lambda the fixed share, and E LightGCN's embeddings:
    h_m = (lambda S0_m + (1 - lambda) S_m)^L E_0
    h_i = sum_m a_im h_im,   a_i = softmax over m of q . tanh(W h_im + b)
    item = E_i + h_i / |h_i|,   score = E_u . item
Loss: BPR, `l2` times a penalty on the batch's final rows, and `contrast` times the sum over m of `two_views(h_m, h)`.
Deviations: a modality that an item lacks gets no attention, and the item is no part of its contrastive loss. With one
modality there is nothing to fuse: no attention and no contrastive loss. For those of the published code (`graph`,
`learn_features`, `rebuild`) see `recsys.models.lattice`.
Relations: with one modality it is `lattice`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from recsys.augmentation import FeatureMatrix
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.graph.knn import symmetric
from recsys.linear_layer import xavier_linear
from recsys.models.base import embedding_table
from recsys.models.parts.item_graph import ItemGraphModel, Searched
from recsys.objectives.two_views import two_views

if TYPE_CHECKING:
    from recsys.models.options.micro import MicroOptions


class MICRO(ItemGraphModel):
    """See the module; arguments as for `ItemGraphModel`. The attention is drawn last: W and b, then q."""

    absent: Tensor

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        modalities: Mapping[str, FeatureMatrix],
        options: MicroOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__(edges, n_users, n_items, modalities, options, generator)
        self.options = options
        self.attention: nn.Linear | None = None
        if len(modalities) > 1:
            self.attention = xavier_linear(options.dim, options.dim, generator)
            self.query = embedding_table(1, options.dim, generator)
        absent = np.stack([~matrix.mask for matrix in modalities.values()])
        self.register_buffer("absent", torch.from_numpy(absent & ~absent.all(0))[:, :, None], persistent=False)

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr`, `l2` and, for several modalities, `contrast`; see `TrainedRecommender.loss`."""
        each = self.each_modality()
        fused = self.fused(each)
        terms = self.ranking(fused, batch)
        if self.attention is not None and self.options.contrast:
            terms["contrast"] = self.options.contrast * self._contrast(each, fused, batch)
        return terms

    def smoothed(self) -> Tensor:
        """See `ItemGraphModel.smoothed`."""
        return self.fused(self.each_modality())

    def each_modality(self) -> Tensor:
        """ID embeddings after the steps over each modality's graph, [modalities, n_items, d]."""
        found = []
        for part in self.parts():
            h: Tensor = self.item_embedding
            for _ in range(self.options.item_layers):
                h = part @ h
            found.append(h)
        return torch.stack(found)

    def fused(self, each: Tensor) -> Tensor:
        """The mean over modalities [n_items, d] that attention gives."""
        if self.attention is None:
            return each[0]
        score = torch.tanh(self.attention(each)) @ self.query.T
        return (score.masked_fill(self.absent, -torch.inf).softmax(0) * each).sum(0)

    def weighted(self, graphs: list[Searched]) -> list[Searched]:
        """See `ItemGraphModel.weighted`."""
        share = 1 - self.options.fixed_share
        return [Searched(pattern, share * symmetric(values, pattern)) for pattern, values in graphs]

    def _contrast(self, each: Tensor, fused: Tensor, batch: Triplets) -> Tensor:
        terms = []
        for name, h in zip(self.modalities, each, strict=True):
            items = self.present(name)
            if self.options.contrast_items == "batch":
                chosen = torch.cat([batch.positive, batch.negative]).unique()
                items = chosen[torch.isin(chosen, items)]
            terms.append(two_views(lookup(h, items), lookup(fused, items), self.options.temperature))
        return torch.stack(terms).sum()
