"""MMGCN: one graph network per item modality, whose outputs are averaged.

Paper: Wei et al., "MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation of Micro-video",
MM 2019.
Equations, for a modality m with user preferences P_m and item features F_m, f = LeakyReLU (slope 0.01):
    X_0 = rows of [P_m; F_m] to length 1
    H = f(mean over neighbours of X_l W1)       (aggregation; mean, not max)
    O = f(X_l W2 + b) + E_id                    (a node's own part, in the space of IDs)
    X_{l+1} = f([H || O] W3 + c)   or   f(H W3 + c + O)
    E = mean over modalities of X_L (the paper sums, the code takes the mean),   score = E_u . E_i
Loss: BPR plus `l2` times half the squared rows of IDs and preferences in the batch, per triplet.
Deviations: the published code's tables of IDs and preferences are no parameters and stay random; here they are trained
unless `frozen_tables` is set. It penalises all preferences of one modality, and means over elements instead of
triplets. Xavier-uniform instead of -normal. Items without features start at zero.
Relations: `grcn` learns the weights of the graph's edges from the same features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.augmentation import FeatureMatrix
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.graph.adjacency import bipartite
from recsys.linear_layer import xavier_linear
from recsys.models.base import embedding_table
from recsys.models.parts.feature_projection import Features
from recsys.models.parts.modalities import ModalityRecommender
from recsys.objectives.bpr import bpr

if TYPE_CHECKING:
    from recsys.models.options.mmgcn import MmgcnOptions


class Channel(nn.Module):
    """The weights of one modality.

    Args:
        matrix: its item features.
        n_users: number of users.
        options: of the family.
        generator: draws the preferences, the layer to the latent space if there is one, and each layer's weights.
    """

    def __init__(self, matrix: FeatureMatrix, n_users: int, options: MmgcnOptions, generator: torch.Generator) -> None:
        super().__init__()
        self.concatenates = options.combine == "concat"
        self.features = Features(matrix)
        latent = options.latent_dim is not None and matrix.dim > options.latent_dim
        self.dim = options.latent_dim if latent and options.latent_dim else matrix.dim
        self.preference = embedding_table(n_users, self.dim, generator)
        self.latent = xavier_linear(matrix.dim, self.dim, generator) if latent else nn.Identity()
        self.neighbours, self.own, self.joint = nn.ParameterList(), nn.ModuleList(), nn.ModuleList()
        for inputs in (self.dim, *[options.dim] * (options.layers - 1)):
            self.neighbours.append(embedding_table(inputs, inputs, generator))
            self.own.append(xavier_linear(inputs, options.dim, generator))
            self.joint.append(xavier_linear(inputs + options.dim * self.concatenates, options.dim, generator))

    def start(self) -> Tensor:
        """Preferences and features, users first, rows of length 1: [n, self.dim]."""
        return F.normalize(torch.cat([self.preference, self.features.projected(self.latent)]))

    def step(self, layer: int, x: Tensor, messages: Tensor, ids: Tensor | None) -> Tensor:
        """The next layer's [n, dim], from [n, d] of this one and the mean of it over neighbours."""
        h = F.leaky_relu(F.linear(messages, self.neighbours[layer]))
        own = F.leaky_relu(self.own[layer](x))
        own = own if ids is None else own + ids
        if self.concatenates:
            return F.leaky_relu(self.joint[layer](torch.cat([h, own], 1)))
        return F.leaky_relu(self.joint[layer](h) + own)


class MMGCN(ModalityRecommender):
    """See the module.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        modalities: item features by name.
        options: of the family.
        generator: draws the initial parameters: users, items, then the channels.
    """

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        modalities: Mapping[str, FeatureMatrix],
        options: MmgcnOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.options, self.sizes, self.embedding_dim = options, (n_users, n_items), options.dim
        if options.id_embedding:
            self.user_embedding = embedding_table(n_users, options.dim, generator)
            self.item_embedding = embedding_table(n_items, options.dim, generator)
        self.channels = nn.ModuleDict({name: Channel(m, n_users, options, generator) for name, m in modalities.items()})
        self.to_users, self.to_items = bipartite(edges, n_users, n_items, "row-mean")
        if options.frozen_tables:
            for table in self._tables(with_items=True):
                table.requires_grad_(False)

    def _channels(self) -> list[Channel]:
        return [cast(Channel, channel) for channel in self.channels.values()]

    def _tables(self, *, with_items: bool) -> list[nn.Parameter]:
        """Tables with a row per user, and that of the items."""
        preferences = [channel.preference for channel in self._channels()]
        ids = [self.user_embedding, self.item_embedding][: 1 + with_items] if self.options.id_embedding else []
        return ids + preferences

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`."""
        channels = self._channels()
        ids = torch.cat([self.user_embedding, self.item_embedding]) if self.options.id_embedding else None
        states = [channel.start() for channel in channels]
        for layer in range(self.options.layers):
            users, items = torch.cat(states, 1).split(self.sizes)  # all modalities in one product
            messages = torch.cat([self.to_users @ items, self.to_items @ users])
            parts = messages.split([state.shape[1] for state in states], 1)
            states = [
                channel.step(layer, state, part, ids)
                for channel, state, part in zip(channels, states, parts, strict=True)
            ]
        final_users, final_items = torch.stack(states).mean(0).split(self.sizes)
        return self.with_side(final_users, final_items)

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr` and, unless the tables are frozen, `l2`; see `TrainedRecommender.loss`."""
        users, items = self()
        rows = lookup(users, batch.user), lookup(items, batch.positive), lookup(items, batch.negative)
        terms = {"bpr": bpr(*rows, batch.weight)}
        if not self.options.frozen_tables:
            penalised = [lookup(table, batch.user) for table in self._tables(with_items=False)]
            if self.options.id_embedding:
                penalised += [lookup(self.item_embedding, ids) for ids in (batch.positive, batch.negative)]
            squares = torch.stack([part.square().sum() for part in penalised]).sum()
            terms["l2"] = self.options.l2 * squares / 2 / len(batch)
        return terms
