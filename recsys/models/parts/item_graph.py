"""The item graphs of LATTICE and MICRO: one per modality, of raw features and fixed, or of projected ones and learned.

Sources: Zhang et al., MM 2021, equations 1 to 8; Zhang et al., TKDE 2022. With cosines s_ij between items,
    S_ij = max(s_ij, 0) for the k items j nearest to i, else 0;   S' = D^-1/2 S D^-1/2, D the row sums of S.
The fixed graph takes raw features e, the learned one W e + b.
Deviations: layers start Xavier-uniform. Items without a vector have no edges. Negative cosines become 0, as the paper
says and the published code does not: there a row with a negative sum becomes NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.augmentation import FeatureMatrix
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.graph.adjacency import Operator, adjacency, row_mean_with_self
from recsys.graph.knn import cosines, knn_operator, knn_pattern
from recsys.graph.weighted import Pattern
from recsys.linear_layer import xavier_linear
from recsys.models.base import embedding_table
from recsys.models.options.item_graph import ItemGraphOptions
from recsys.models.parts.feature_projection import Features
from recsys.models.parts.modalities import ModalityRecommender
from recsys.objectives.bpr import batch_l2, bpr


class Searched(NamedTuple):
    """A learned graph: its places, and a value for each [m]."""

    pattern: Pattern
    values: Tensor


class Part(NamedTuple):
    """One modality's part of a step over the item graph: `share * fixed + learned`."""

    fixed: Operator
    share: Tensor
    learned: Searched | None

    def __matmul__(self, h: Tensor) -> Tensor:
        """The product with embeddings [n_items, d]."""
        product = self.share * (self.fixed @ h)
        return product if self.learned is None else product + self.learned.pattern.product(self.learned.values, h)

    def detached(self) -> Part:
        """The same numbers, without a gradient."""
        learned = self.learned and self.learned._replace(values=self.learned.values.detach())
        return self._replace(share=self.share.detach(), learned=learned)


class ItemGraphModel(ModalityRecommender):
    """LightGCN whose items are joined by what item graphs make of their ID embeddings; see `smoothed`.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        modalities: item features by name.
        options: of the family.
        generator: draws the initial parameters: users, items, then each modality's projection.
    """

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        modalities: Mapping[str, FeatureMatrix],
        options: ItemGraphOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.sizes, self.embedding_dim, self._options = (n_users, n_items), options.dim, options
        self.user_embedding = embedding_table(n_users, options.dim, generator)
        self.item_embedding = embedding_table(n_items, options.dim, generator)
        self.graph = (adjacency if options.graph == "symmetric" else row_mean_with_self)(edges, *self.sizes)
        self.modalities = list(modalities)
        self.fixed, self.features, self.layers = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        self.raw, self.patterns = nn.ParameterDict(), nn.ModuleDict()
        self._kept: list[Part] | None = None
        for name, matrix in modalities.items():
            dense = torch.from_numpy(matrix.dense())
            self.features[name] = Features(matrix)
            self.fixed[name] = knn_operator(dense, options.neighbours, include_self=options.include_self)
            if options.fixed_share < 1:
                self.layers[name] = xavier_linear(matrix.dim, options.feature_dim, generator)
                if options.learn_features:
                    self.raw[name] = nn.Parameter(dense)

    def smoothed(self) -> Tensor:
        """What the item graphs make of the ID embeddings, [n_items, d]."""
        raise NotImplementedError

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`."""
        return self.with_side(*self.joined(self.smoothed()))

    def joined(self, smoothed: Tensor) -> tuple[Tensor, Tensor]:
        """Propagated user embeddings, and those of items plus the normalised rows of `smoothed`."""
        joint = torch.cat([self.user_embedding, self.item_embedding])
        users, items = self.graph.mean_of_powers(joint, self._options.layers).split(self.sizes)
        return users, items + F.normalize(smoothed)

    def ranking(self, smoothed: Tensor, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr` and `l2` of a batch."""
        users, items = self.joined(smoothed)
        *_, penalty = batch_l2(users, items, batch)
        users, items = self.with_side(users, items)
        rows = lookup(users, batch.user), lookup(items, batch.positive), lookup(items, batch.negative)
        return {"bpr": bpr(*rows, batch.weight), "l2": self._options.l2 * penalty}

    def present(self, name: str) -> Tensor:
        """int64, the items that have a vector in a modality."""
        return cast(Features, self.features[name]).present

    def parts(self) -> list[Part]:
        """Each modality's part of the item graph, its learned one built or brought up to date."""
        if self._kept is not None:
            return self._kept
        learned = iter(self.weighted([self._searched(name) for name in self.layers]))
        parts = [
            Part(cast(Operator, self.fixed[name]), self._options.fixed_share * share, next(learned, None))
            for name, share in zip(self.modalities, self.shares(), strict=True)
        ]
        if self._options.rebuild == "published" and self.training:
            self._kept = [part.detached() for part in parts]
        return parts

    def shares(self) -> Tensor:
        """What each modality counts, [modalities]."""
        return self.item_embedding.new_ones(len(self.modalities))

    def weighted(self, graphs: list[Searched]) -> list[Searched]:
        """The learned graphs as they enter their parts, from their cosines; an empty list stays empty."""
        raise NotImplementedError

    def _searched(self, name: str) -> Searched:
        options, projected = self._options, self._projected(name)
        if name not in self.patterns or options.rebuild == "step" or not self.training:
            self.patterns[name] = knn_pattern(projected, options.neighbours, include_self=options.include_self)
        pattern = cast(Pattern, self.patterns[name])
        return Searched(pattern, cosines(projected, pattern))

    def _projected(self, name: str) -> Tensor:
        features, layer = cast(Features, self.features[name]), self.layers[name]
        if name not in self.raw:
            return features.projected(layer)
        projected = layer(self.raw[name])
        return projected if features.mask is None else projected * features.mask

    def train(self, mode: bool = True) -> ItemGraphModel:
        """See `EmbeddingRecommender.train`; forgets the learned graphs, so an epoch starts with new ones."""
        self.patterns.clear()
        self._kept = None
        super().train(mode)
        return self
