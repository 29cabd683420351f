"""LLMRec: graph recommendation with edges, profiles and attributes written by an LLM.

Paper: Wei et al., "LLMRec: Large Language Models with Graph Augmentation for Recommendation", WSDM 2024.
Equations, as the published code has them: with P and Q the hops users <- items and items <- users, n() the L2
normalisation of rows and z = dropout(linear(features)),
    modality or attribute  u_m = P z_m, i_m = Q u_m
    user profile           i_f = Q z_f, u_f = P i_f           (a user's own profile is seen after two hops)
    IDs                    u_l = P i_{l-1}, i_l = Q u_l, the last pair after a softmax over the dimensions
    U = mean(U_0, u_1..u_L) + a sum n(u_modality) + b sum n(u_profile) + c sum n(u_attribute), items likewise
    loss = pruned BPR(U, I) + pruned BPR(u_profile, i_attribute) + pruned BPR(u_modality, i_modality) + penalties.
Deviations from the paper follow the code and are named in `LLMRecOptions`; its inverted penalty, inactive clipping and
broken feature restoration are off. Ids without features contribute nothing; a missing group has no term. The published
code's unused layers (a batch norm, a frozen decoder) do not exist here.
Training: while features are fixed (no dropout, no restoration) a step projects only the rows of its batch from
constants, and takes the feature penalty from Gram matrices: the same values, see `side_features`.
Relations: without features, `norm="symmetric"` and no softmax it is LightGCN with items updated after users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.graph.adjacency import bipartite
from recsys.linear_layer import xavier_linear
from recsys.models.base import EmbeddingRecommender, embedding_table
from recsys.models.parts.hidden_features import HiddenFeatures
from recsys.models.parts.side_features import (
    ATTRIBUTE,
    MODALITY,
    PROFILE,
    SideFeatures,
    grouped,
    layer_of,
    named_matrices,
    projection_layers,
)
from recsys.objectives.bpr import batch_l2
from recsys.objectives.features import feature_penalty, inverted_l2
from recsys.objectives.pruned import pruned

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.llmrec import LLMRecOptions


class Propagated(NamedTuple):
    """One pass: final embeddings [n, d], side features after propagation [n, features, d], and the rows hidden in it.

    `hidden` holds int64 ids by feature, and is empty unless a training with restoration makes the pass.
    """

    users: Tensor
    items: Tensor
    modality_users: Tensor
    modality_items: Tensor
    attribute_users: Tensor
    attribute_items: Tensor
    profile_users: Tensor
    profile_items: Tensor
    hidden: dict[str, Tensor]


class LLMRec(EmbeddingRecommender):
    """See the module.

    Features are called "modality/<name>", "profile/<name>" and "attribute/<name>" in parameters.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        side: features; edges in it are not used here, they join the batches.
        options: of the family.
        generator: draws the initial parameters: users, items, layers, decoders.
    """

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        side: SideInformation,
        options: LLMRecOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        side.check(n_users, n_items)
        self.options, self.embedding_dim = options, options.dim
        self.user_embedding = embedding_table(n_users, options.dim, generator)
        self.item_embedding = embedding_table(n_items, options.dim, generator)
        hops = bipartite(edges, n_users, n_items, options.norm)
        self.to_users, self.to_items = hops
        matrices = named_matrices(side)
        self.groups = grouped(matrices)
        of = layer_of if options.share_item_projection else str
        remedy = "embed them with one model, or set share_item_projection: false"
        self.layers = projection_layers(matrices, options.dim, of, generator, remedy)
        self.decoders = nn.ModuleDict()
        for name, matrix in matrices.items() if options.restoration.active else ():
            if not name.startswith(MODALITY) and of(name) not in self.decoders:
                self.decoders[of(name)] = xavier_linear(options.dim, matrix.dim, generator)
        self.features: SideFeatures | HiddenFeatures
        if options.dropout or options.restoration.active:
            self.features = HiddenFeatures(matrices, hops, of, options)
        else:
            penalised = options.feature_reg > 0
            self.features = SideFeatures(matrices, hops, options.dim, of, options.preprocess, penalised=penalised)

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: LLMRecOptions, generator: torch.Generator
    ) -> LLMRec:
        """See `recsys.models.build`."""
        return cls(dataset.train, dataset.n_users, dataset.n_items, side, options, generator)

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`."""
        return self.propagate()[:2]

    def propagate(self, users: Tensor | None = None, items: Tensor | None = None) -> Propagated:
        """One pass over the graph. With ids (int64), which needs fixed features, the rows of these users and items."""
        options = self.options
        hidden: dict[str, Tensor] = {}
        if isinstance(self.features, SideFeatures):
            side = self.features.rows(self.layers, users, items)
        else:
            hidden = self.features.hidden_rows()
            side = self.features.rows(self.layers, hidden)
        added = side.added(options.modality_scale, options.profile_scale, options.attribute_scale)
        final = []
        for embeddings, ids, features in zip(self._smoothed(), (users, items), added, strict=True):
            final.append((embeddings if ids is None else lookup(embeddings, ids)) + features)
        return Propagated(final[0], final[1], *side, hidden)

    def _smoothed(self) -> tuple[Tensor, Tensor]:
        """The mean over the layers of the ID embeddings."""
        users: Tensor = self.user_embedding
        items: Tensor = self.item_embedding
        sum_users, sum_items = users, items
        for layer in range(1, self.options.layers + 1):
            users = self._activated(self.to_users @ items, layer)
            items = self._activated(self.to_items @ users, layer)
            sum_users, sum_items = sum_users + users, sum_items + items
        return sum_users / (self.options.layers + 1), sum_items / (self.options.layers + 1)

    def _activated(self, embeddings: Tensor, layer: int) -> Tensor:
        last = layer == self.options.layers
        return embeddings.softmax(1) if last and self.options.final_softmax else embeddings

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr`, `l2`, `feature_reg`, `attribute_bpr`, `modality_bpr` and `restoration`, as far as they apply."""
        options = self.options
        if isinstance(self.features, SideFeatures):
            users, user = batch.user.unique(return_inverse=True)
            items, item = torch.cat([batch.positive, batch.negative]).unique(return_inverse=True)
            p, places = self.propagate(users, items), (user, *item.chunk(2))
        else:
            p, places = self.propagate(), (batch.user, batch.positive, batch.negative)

        def rows(users: Tensor, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            tables = zip((users, items, items), places, strict=True)
            return tuple(lookup(t.flatten(1), ids).unflatten(1, t.shape[1:]) for t, ids in tables)  # type: ignore[return-value]

        def ranking(users: Tensor, items: Tensor) -> Tensor:
            return pruned(*rows(users, items), rate=options.prune_rate, keep=options.keep, weight=batch.weight).sum()

        terms = {"bpr": ranking(p.users, p.items)}
        if options.l2 == "standard":
            *_, penalty = batch_l2(self.user_embedding, self.item_embedding, batch)
            terms["l2"] = options.l2_weight * penalty
        elif options.l2 == "inverted":
            terms["l2"] = options.l2_weight * inverted_l2(rows(p.users, p.items), batch.observed)
        if self.groups[MODALITY] and options.feature_reg:
            terms["feature_reg"] = options.feature_reg * self._feature_penalty(p)
        if self.groups[PROFILE] and self.groups[ATTRIBUTE] and options.attribute_bpr:
            pairs = ranking(p.profile_users[:, :, None], p.attribute_items[:, None])
            terms["attribute_bpr"] = options.attribute_bpr * pairs
        if self.groups[MODALITY] and options.modality_bpr:
            terms["modality_bpr"] = options.modality_bpr * ranking(p.modality_users, p.modality_items)
        if isinstance(self.features, HiddenFeatures) and p.hidden:
            wanted = {PROFILE: p.profile_users, ATTRIBUTE: p.attribute_items}
            terms["restoration"] = options.restoration.weight * self.features.restoration(
                self.decoders, wanted, p.hidden
            )
        return terms

    def _feature_penalty(self, p: Propagated) -> Tensor:
        if isinstance(self.features, SideFeatures):
            return self.features.modality_squares(self.layers) / (2 * len(self.item_embedding))
        return feature_penalty(p.modality_users, p.modality_items)
