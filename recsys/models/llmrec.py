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
Relations: without features, `norm="symmetric"` and no softmax it is LightGCN with items updated after users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artefacts.errors import DataError
from recsys.graph import bipartite
from recsys.models.base import TrainedRecommender, embedding_table
from recsys.models.feature_projection import Features, xavier_linear
from recsys.objectives.bpr import batch_l2
from recsys.objectives.features import feature_penalty, inverted_l2
from recsys.objectives.pruned import pruned
from recsys.objectives.restoration import hidden_rows, restoration_loss
from recsys.sampling import Triplets

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.llmrec import LLMRecOptions

MODALITY, PROFILE, ATTRIBUTE = "modality", "profile", "attribute"


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


class LLMRec(TrainedRecommender):
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
        self.to_users, self.to_items = bipartite(edges, n_users, n_items, options.norm)
        groups = {MODALITY: side.item, PROFILE: side.user, ATTRIBUTE: side.attributes}
        self.groups = {group: [_key(group, name) for name in matrices] for group, matrices in groups.items()}
        self.features = nn.ModuleDict(
            {
                _key(group, name): Features(matrix, options.preprocess)
                for group, matrices in groups.items()
                for name, matrix in matrices.items()
            }
        )
        self.dropout = nn.Dropout(options.dropout)
        self.layers, self.decoders = nn.ModuleDict(), nn.ModuleDict()
        for name, dim in self._layer_sizes().items():
            self.layers[name] = xavier_linear(dim, options.dim, generator)
        for name, dim in self._layer_sizes().items() if options.restoration.active else ():
            if not name.startswith(MODALITY):
                self.decoders[name] = xavier_linear(options.dim, dim, generator)

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: LLMRecOptions, generator: torch.Generator
    ) -> LLMRec:
        """See `Family.build`."""
        return cls(dataset.train, dataset.n_users, dataset.n_items, side, options, generator)

    def _features(self, name: str) -> Features:
        return cast(Features, self.features[name])

    def _layer_of(self, feature: str) -> str:
        shared = self.options.share_item_projection and feature.startswith(ATTRIBUTE)
        return ATTRIBUTE if shared else feature

    def _layer_sizes(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for feature in self.features:
            layer, dim = self._layer_of(feature), self._features(feature).dim
            if sizes.setdefault(layer, dim) != dim:
                raise DataError(
                    f"attributes share a layer, and their vectors have {sizes[layer]} and {dim} dimensions",
                    where=feature,
                    remedy="embed them with one model, or set share_item_projection: false",
                )
        return sizes

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `TrainedRecommender.forward`."""
        return self.propagate()[:2]

    def propagate(self) -> Propagated:
        """One pass over the graph: every hop is one sparse product for all that takes it."""
        options, dim = self.options, self.options.dim
        modalities, profiles, attributes = (self.groups[group] for group in (MODALITY, PROFILE, ATTRIBUTE))
        hidden = self._hidden_rows()
        n_features = len(modalities) + len(attributes)
        profile_items = self.to_items @ self._projected(profiles, hidden) if profiles else self._nothing
        sources = [self._projected([*modalities, *attributes], hidden), profile_items, self.item_embedding]
        feature_users, profile_users, users = (self.to_users @ torch.cat(sources, 1)).split(
            [n_features * dim, len(profiles) * dim, dim], 1
        )
        users = self._activated(users, 1)
        feature_items, items = (self.to_items @ torch.cat([feature_users, users], 1)).split([n_features * dim, dim], 1)
        items = self._activated(items, 1)
        sum_users, sum_items = self.user_embedding + users, self.item_embedding + items
        for layer in range(2, options.layers + 1):
            users = self._activated(self.to_users @ items, layer)
            items = self._activated(self.to_items @ users, layer)
            sum_users, sum_items = sum_users + users, sum_items + items
        sides = []
        for ids, features, profile in (
            (sum_users, feature_users, profile_users),
            (sum_items, feature_items, profile_items),
        ):
            of_modality, of_attribute = features.unflatten(1, (n_features, dim)).split(
                [len(modalities), len(attributes)], 1
            )
            of_profile = profile.unflatten(1, (len(profiles), dim))
            final = (
                ids / (options.layers + 1)
                + options.modality_scale * F.normalize(of_modality, dim=2).sum(1)
                + options.profile_scale * F.normalize(of_profile, dim=2).sum(1)
                + options.attribute_scale * F.normalize(of_attribute, dim=2).sum(1)
            )
            sides.append((final, of_modality, of_attribute, of_profile))
        (u, um, ua, up), (i, im, ia, ip) = sides
        return Propagated(u, i, um, im, ua, ia, up, ip, hidden)

    @property
    def _nothing(self) -> Tensor:
        return self.item_embedding[:, :0]

    def _projected(self, features: list[str], hidden: Mapping[str, Tensor]) -> Tensor:
        """[n, len(features) * dim]."""
        if not features:
            return self._nothing
        parts = [
            self._features(name).projected(self.layers[self._layer_of(name)], hidden.get(name)) for name in features
        ]
        return self.dropout(torch.cat(parts, 1))

    def _activated(self, embeddings: Tensor, layer: int) -> Tensor:
        last = layer == self.options.layers
        return embeddings.softmax(1) if last and self.options.final_softmax else embeddings

    def _hidden_rows(self) -> dict[str, Tensor]:
        restoration = self.options.restoration
        if not (self.training and restoration.active):
            return {}
        names = self.groups[PROFILE] + self.groups[ATTRIBUTE]
        return {name: hidden_rows(self._features(name).present, restoration.mask_rate) for name in names}

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr`, `l2`, `feature_reg`, `attribute_bpr`, `modality_bpr` and `restoration`, as far as they apply."""
        options, p = self.options, self.propagate()

        def ranking(users: Tensor, items: Tensor) -> Tensor:
            rows = users[batch.user], items[batch.positive], items[batch.negative]
            return pruned(*rows, rate=options.prune_rate, keep=options.keep, weight=batch.weight).sum()

        terms = {"bpr": ranking(p.users, p.items)}
        if options.l2 == "standard":
            *_, penalty = batch_l2(self.user_embedding, self.item_embedding, batch)
            terms["l2"] = options.l2_weight * penalty
        elif options.l2 == "inverted":
            rows = p.users[batch.user], p.items[batch.positive], p.items[batch.negative]
            terms["l2"] = options.l2_weight * inverted_l2(rows, batch.observed)
        if self.groups[MODALITY] and options.feature_reg:
            terms["feature_reg"] = options.feature_reg * feature_penalty(p.modality_users, p.modality_items)
        if self.groups[PROFILE] and self.groups[ATTRIBUTE] and options.attribute_bpr:
            pairs = ranking(p.profile_users[:, :, None], p.attribute_items[:, None])
            terms["attribute_bpr"] = options.attribute_bpr * pairs
        if self.groups[MODALITY] and options.modality_bpr:
            terms["modality_bpr"] = options.modality_bpr * ranking(p.modality_users, p.modality_items)
        if p.hidden:
            terms["restoration"] = options.restoration.weight * self._restoration(p)
        return terms

    def _restoration(self, p: Propagated) -> Tensor:
        """The sum over profiles and attributes of how badly their hidden rows are restored."""
        terms = []
        for group, propagated in ((PROFILE, p.profile_users), (ATTRIBUTE, p.attribute_items)):
            for position, name in enumerate(self.groups[group]):
                rows = p.hidden[name]
                decoded = self.decoders[self._layer_of(name)](propagated[rows, position])
                options = self.options.restoration
                terms.append(restoration_loss(decoded, self._features(name).rows(rows), options.loss, options.alpha))
        return torch.stack(terms).sum()


def _key(group: str, name: str) -> str:
    return f"{group}/{name.replace('.', '/')}"  # torch keeps the dot for itself
