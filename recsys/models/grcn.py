"""GRCN: a graph whose edges are weighted, and pruned, by how well an item's features suit the user.

Paper: Wei et al., "Graph-Refined Convolutional Network for Multimedia Recommendation with Implicit Feedback", MM 2020.
Equations, with n() rows to length 1, f = LeakyReLU (slope 0.01) and N the neighbours:
    features    F_m = n(f(linear(features of modality m))),   P_m = n(preferences of the users)
    routing     T times: a_ui = softmax over N_u of P_u . F_i,   P_u <- n(P_u + sum over N_u of a_ui F_i)
    affinity    a_u<-i = softmax over N_u of P_u . F_i,   a_i<-u = softmax over N_i of the same
    content     C_u = P_u + sum a_u<-i F_i,   C_i = F_i + sum a_i<-u P_u
    weight      w_u<-i = relu(max over m of c_i,m a_u<-i,m),   w_i<-u likewise with c_u,m
    IDs         X_0 = n(E_id),   X_{l+1} = sum over N of w X_l,   X = X_0 + .. + X_L
    score       inner product of X || C_1 || C_2 ..
Loss: BPR plus `l2` times half the squared rows of IDs and preferences in the batch, per triplet.
Deviations: routing reaches the preferences, as in the paper (see `GrcnOptions.routing`). The confidence belongs to the
sender of a message, as in the published code. Its penalty means over elements; its dropout of edges and activation
after propagation, both off there, do not exist here. Xavier-uniform instead of -normal. An item without features has
affinity 0 before the softmax and no content.
Relations: with equal weights the ID part is `lightgcn` without normalisation by degree.
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
from recsys.graph.weighted import Pattern
from recsys.linear_layer import xavier_linear
from recsys.models.base import embedding_table
from recsys.models.parts.feature_projection import Features
from recsys.models.parts.modalities import ModalityRecommender
from recsys.objectives.bpr import bpr

if TYPE_CHECKING:
    from recsys.models.options.grcn import GrcnOptions


class Content(NamedTuple):
    """What one modality says: content [n, feature_dim] of users and items, affinities [m] in both directions."""

    users: Tensor
    items: Tensor
    to_users: Tensor
    to_items: Tensor


class Channel(nn.Module):
    """The weights of one modality.

    Args:
        matrix: its item features.
        n_users: number of users.
        dim: length of a preference.
        routing: see `GrcnOptions`.
        generator: draws the preferences and the layer.
    """

    def __init__(self, matrix: FeatureMatrix, n_users: int, dim: int, routing: int, generator: torch.Generator) -> None:
        super().__init__()
        self.features, self.routing = Features(matrix), routing
        self.preference = embedding_table(n_users, dim, generator)
        self.layer = xavier_linear(matrix.dim, dim, generator)

    def forward(self, graph: Pattern) -> Content:
        """Routing, then one exchange between users and items."""
        items = F.normalize(F.leaky_relu(self.features.projected(self.layer)))
        users = F.normalize(self.preference)
        for _ in range(self.routing):
            affinity = graph.softmax(graph.dots(users, items))
            users = F.normalize(users + graph.product(affinity, items))
        dots = graph.dots(users, items)
        to_users, to_items = graph.softmax(dots), graph.softmax(dots, transposed=True)
        from_items, from_users = graph.product(to_users, items), graph.product(to_items, users, transposed=True)
        return Content(users + from_items, items + from_users, to_users, to_items)


class GRCN(ModalityRecommender):
    """See the module.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        modalities: item features by name.
        options: of the family.
        generator: draws the initial parameters: users, items, their confidences, then the channels.
    """

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        modalities: Mapping[str, FeatureMatrix],
        options: GrcnOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.options = options
        side_by_side = options.fusion == "concat"
        self.embedding_dim = options.dim + side_by_side * len(modalities) * options.feature_dim
        self.user_embedding = embedding_table(n_users, options.dim, generator)
        self.item_embedding = embedding_table(n_items, options.dim, generator)
        if options.weights == "confidence":
            self.user_confidence = embedding_table(n_users, len(modalities), generator)
            self.item_confidence = embedding_table(n_items, len(modalities), generator)
        self.channels = nn.ModuleDict(
            {
                name: Channel(matrix, n_users, options.feature_dim, options.routing, generator)
                for name, matrix in modalities.items()
            }
        )
        self.graph = Pattern(edges, n_users, n_items)

    def _channels(self) -> list[Channel]:
        return [cast(Channel, channel) for channel in self.channels.values()]

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`."""
        contents = [channel(self.graph) for channel in self._channels()]
        users, items = self._ids(*self.edge_weights(contents))
        if self.options.fusion == "concat":
            users = torch.cat([users, *(content.users for content in contents)], 1)
            items = torch.cat([items, *(content.items for content in contents)], 1)
        elif self.options.fusion == "mean":
            users = torch.stack([users, *(content.users for content in contents)]).mean(0)
            items = torch.stack([items, *(content.items for content in contents)]).mean(0)
        return self.with_side(users, items)

    def edge_weights(self, contents: list[Content]) -> tuple[Tensor, Tensor]:
        """The weights [m] of messages to users and to items, edges in the order of (user, item)."""
        to_users = torch.stack([content.to_users for content in contents], 1)
        to_items = torch.stack([content.to_items for content in contents], 1)
        if self.options.weights == "confidence":
            to_users = to_users * lookup(self.item_confidence, self.graph.column)
            to_items = to_items * lookup(self.user_confidence, self.graph.row)
        if self.options.weights == "mean":
            weights = to_users.mean(1), to_items.mean(1)
        else:
            weights = to_users.max(1).values, to_items.max(1).values
        return (weights[0].relu(), weights[1].relu()) if self.options.pruning else weights

    def _ids(self, to_users: Tensor, to_items: Tensor) -> tuple[Tensor, Tensor]:
        users, items = F.normalize(self.user_embedding), F.normalize(self.item_embedding)
        sum_users, sum_items = users, items
        for _ in range(self.options.layers):
            received = self.graph.product(to_users, items)
            users, items = received, self.graph.product(to_items, users, transposed=True)
            sum_users, sum_items = sum_users + users, sum_items + items
        return sum_users, sum_items

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr` and `l2`; see `TrainedRecommender.loss`."""
        users, items = self()
        rows = lookup(users, batch.user), lookup(items, batch.positive), lookup(items, batch.negative)
        of_users = [self.user_embedding, *(channel.preference for channel in self._channels())]
        penalised = [lookup(table, batch.user) for table in of_users]
        penalised += [lookup(self.item_embedding, ids) for ids in (batch.positive, batch.negative)]
        squares = torch.stack([part.square().sum() for part in penalised]).sum()
        return {"bpr": bpr(*rows, batch.weight), "l2": self.options.l2 * squares / 2 / len(batch)}
