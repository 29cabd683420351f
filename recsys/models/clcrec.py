"""CLCRec: ID embeddings learn to agree with what can be read off an item's features; new items are scored by these.

Paper: Wei et al., "Contrastive Learning for Cold-start Recommendation", MM 2021.
Equations, with ID embeddings u and z, f = W2 LeakyReLU(W1 x + b1) + b2 of the features x (each modality normalised),
n() the L2 normalisation, J the negatives of a triplet (u, i), and t the temperature:
    users and items:          -ln( exp(u.y_i / t) / sum over j in {i} + J of exp(u.y_j / t) )
    embeddings and features:  -ln( exp(n(z_i).n(f_i) / t) / sum over j in {i} + J of exp(n(z_i).n(f_j) / t) )
    y_j is f_j with probability `replaced`, else z_j;   score = u . (z_i, or f_i for an item without interactions)
    loss = (1 - s) users and items + s embeddings and features + `l2` (mean |u| + mean |z|) / 2
Deviations: J is the triplet's negative and, for all triplets of a step, the same draw of items that occur in training,
without those the user has: a matrix product takes the place of a gather per triplet. Each candidate is replaced
independently (the published code draws rows with repetition, which replaces fewer). Negatives without interactions are
left out of J, as published. Items without features are never replaced and take no part in the second contrast.
Relations: without features there would be left a sampled softmax over ID embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.augmentation import FeatureMatrix
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.linear_layer import xavier_linear
from recsys.models.base import embedding_table
from recsys.models.parts.feature_projection import Features
from recsys.models.parts.modalities import ModalityRecommender
from recsys.models.parts.relations import Interactions

if TYPE_CHECKING:
    from recsys.models.options.clcrec import ClcrecOptions


class Drawn(NamedTuple):
    """What a step leaves to chance: the shared negatives, int64 [k], and who is replaced, bool [b], [b] and [k]."""

    shared: Tensor
    positive: Tensor
    negative: Tensor
    of_shared: Tensor


class CLCRec(ModalityRecommender):
    """See the module.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        modalities: item features by name.
        options: of the family.
        generator: draws the initial parameters: users, items, each modality's part of W1, W2.
    """

    warm: Tensor
    is_warm: Tensor
    has_features: Tensor

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        modalities: Mapping[str, FeatureMatrix],
        options: ClcrecOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.options, self.embedding_dim = options, options.dim
        self.user_embedding = embedding_table(n_users, options.dim, generator)
        self.item_embedding = embedding_table(n_items, options.dim, generator)
        self.features, self.inner = nn.ModuleDict(), nn.ModuleDict()
        for name, matrix in modalities.items():
            self.features[name] = Features(_normalised(matrix))
            self.inner[name] = xavier_linear(matrix.dim, options.hidden_dim, generator)
        self.outer = xavier_linear(options.hidden_dim, options.dim, generator)
        is_warm = np.bincount(edges[:, 1], minlength=n_items) > 0
        self._keep("warm", np.flatnonzero(is_warm))
        self._keep("is_warm", is_warm)
        self._keep("has_features", np.any([matrix.mask for matrix in modalities.values()], axis=0))
        self.holders = Interactions(edges[:, ::-1], n_items, n_users)

    def _keep(self, name: str, array: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def content(self, items: Tensor) -> Tensor:
        """f of `items` (int64 [m]): [m, d]. Means nothing for items without features."""
        parts = []
        for name, layer in self.inner.items():
            features = cast(Features, self.features[name])
            part = layer(features.rows(items))
            parts.append(part if features.mask is None else part * features.mask[items])
        return self.outer(F.leaky_relu(torch.stack(parts).sum(0)))

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`; items without interactions are what their features say."""
        new = (self.has_features & ~self.is_warm).nonzero()[:, 0]
        items = self.item_embedding.index_copy(0, new, self.content(new).to(self.item_embedding.dtype))
        return self.with_side(self.user_embedding, items)

    def draw(self, batch: Triplets) -> Drawn:
        """One step's chance, from torch's global generator of the device."""
        device, k = batch.user.device, self.options.negatives
        shared = self.warm[torch.randint(len(self.warm), (k,), device=device)]
        chances = (torch.rand(size, device=device) < self.options.replaced for size in (len(batch), len(batch), k))
        return Drawn(shared, *chances)

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Terms `users_items`, `items_features` and `l2`; see `TrainedRecommender.loss`."""
        options, drawn, b = self.options, self.draw(batch), len(batch)
        items, where = torch.cat([batch.positive, batch.negative, drawn.shared]).unique(return_inverse=True)
        ids, content = lookup(self.item_embedding, items), self.content(items)
        user, sizes = lookup(self.user_embedding, batch.user), [b, b, len(drawn.shared)]

        instead = torch.cat([drawn.positive, drawn.negative, drawn.of_shared]) | ~self.is_warm[items][where]
        instead = (instead & self.has_features[items][where])[:, None]
        all_ids = lookup(ids, where)
        shown = torch.where(instead, lookup(content, where), all_ids).split(sizes)
        outside = self._outside(batch, drawn.shared)
        weight = torch.ones(b, device=user.device) if batch.weight is None else batch.weight
        users_items = _contrast(user, shown, outside, options.temperature)

        featured = self.has_features[items][where].split(sizes)
        known = lookup(F.normalize(content), where).split(sizes)
        anchor = F.normalize(all_ids[:b])
        outside = outside[0] | ~featured[1], outside[1] | ~featured[2]
        items_features = _contrast(anchor, known, outside, options.temperature)
        usable = weight * (featured[0] & self.is_warm[batch.positive])
        return {
            "users_items": (1 - options.feature_share) * _mean(users_items, weight),
            "items_features": options.feature_share * _mean(items_features, usable),
            "l2": options.l2 * (user.norm(dim=1).mean() + all_ids.norm(dim=1).mean()) / 2,
        }

    def _outside(self, batch: Triplets, shared: Tensor) -> tuple[Tensor, Tensor]:
        """Which candidates are no negatives of a triplet: its own one [b], the shared ones [b, k]."""
        owned = self.holders.rows(shared, torch.bool)[:, batch.user].T
        return ~self.is_warm[batch.negative], owned | (shared == batch.positive[:, None])


def _contrast(
    anchor: Tensor, candidates: tuple[Tensor, ...], outside: tuple[Tensor, Tensor], temperature: float
) -> Tensor:
    """The loss of each row [b]; anchors, positives and negatives are [b, d], shared negatives [k, d]."""
    positive, negative, shared = candidates
    right = (anchor * positive).sum(1) / temperature
    wrong = ((anchor * negative).sum(1) / temperature).masked_fill(outside[0], -torch.inf)
    others = (anchor @ shared.T / temperature).masked_fill(outside[1], -torch.inf)
    return torch.cat([right[:, None], wrong[:, None], others], 1).logsumexp(1) - right


def _mean(losses: Tensor, weight: Tensor) -> Tensor:
    return (weight * losses).sum() / weight.sum().clamp_min(1e-12)


def _normalised(matrix: FeatureMatrix) -> FeatureMatrix:
    length = np.linalg.norm(matrix.values, axis=1, keepdims=True)
    return FeatureMatrix(matrix.values / np.maximum(length, 1e-12).astype(np.float32), matrix.index, matrix.mask)
