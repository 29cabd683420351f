"""VBPR: matrix factorisation in which an item also has factors computed from its features.

Paper: He & McAuley, "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016.
Equation (4), without the parts that are equal for all items of a user (alpha and beta_u):
    score(u, i) = beta_i + p_u . q_i + t_u . (E f_i) + b . f_i
Loss: BPR plus penalties on the rows of the batch and on E and b.
Deviations: f_i is every modality's vector in a row (the paper has one, of the picture), each with its own part of E
and b; an item without a vector has no such part. Mini-batches with Adam. No bias in E f_i, as in the paper; a public
version adds one and leaves out both biases of the score, which `item_bias` and `feature_bias` switch.
Relations: without features and biases it is `mf_bpr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.augmentation import FeatureMatrix
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.models.base import EmbeddingRecommender, embedding_table
from recsys.models.parts.feature_projection import Features
from recsys.models.parts.modalities import modalities_of
from recsys.objectives.bpr import bpr

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.vbpr import VbprOptions


class VBPR(EmbeddingRecommender):
    """See the module. The biases are one more column, which users meet with a constant 1.

    Args:
        n_users, n_items: the sizes.
        modalities: item features by name.
        options: of the family.
        generator: draws the initial parameters: users, items, then each modality's projection and bias.
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
        modalities: Mapping[str, FeatureMatrix],
        options: VbprOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.options, self.embedding_dim = options, options.dim + options.feature_dim
        self.user_embedding = embedding_table(n_users, self.embedding_dim, generator)
        self.item_embedding = embedding_table(n_items, options.dim, generator)
        self.item_bias = nn.Parameter(torch.zeros(n_items, 1)) if options.item_bias else None
        self.features = nn.ModuleDict({name: Features(m, options.preprocess) for name, m in modalities.items()})
        self.projections, self.feature_biases = nn.ParameterDict(), nn.ParameterDict()
        for name, matrix in modalities.items():
            self.projections[name] = embedding_table(options.feature_dim, matrix.dim, generator)
            if options.feature_bias:
                self.feature_biases[name] = embedding_table(1, matrix.dim, generator)

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: VbprOptions, generator: torch.Generator) -> VBPR:
        """See `recsys.models.build`."""
        modalities = modalities_of(options.family, side, options)
        return cls(dataset.n_users, dataset.n_items, modalities, options, generator)

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`; a constant column for the biases comes last."""
        factors, bias = self._items()
        users, items = self.with_side(self.user_embedding, torch.cat([self.item_embedding, factors], 1))
        return torch.cat([users, users.new_ones(len(users), 1)], 1), torch.cat([items, bias], 1)

    def _items(self, ids: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Factors from features [b, feature_dim] and biases [b, 1] of `ids` (int64 [b]), or of all items."""
        parts = []
        for name, module in self.features.items():
            features, weight = cast(Features, module), self.projections[name]
            if name in self.feature_biases:
                weight = torch.cat([weight, self.feature_biases[name]])
            if ids is None:
                parts.append(features.projected(partial(F.linear, weight=weight)))
            else:
                projected = F.linear(features.rows(ids), weight)
                parts.append(projected if features.mask is None else projected * features.mask[ids])
        joint = torch.stack(parts).sum(0)
        factors, bias = joint[:, : self.options.feature_dim], joint[:, self.options.feature_dim :].sum(1, keepdim=True)
        if self.item_bias is not None:
            bias = bias + (self.item_bias if ids is None else lookup(self.item_bias, ids))
        return factors, bias

    def _rows(self, batch: Triplets) -> tuple[Tensor, Tensor, Tensor]:
        """The batch's final rows of users, positives and negatives."""
        if self.side is not None or 2 * len(batch) >= len(self.item_embedding):
            users, items = self()
            return lookup(users, batch.user), lookup(items, batch.positive), lookup(items, batch.negative)
        ids = torch.cat([batch.positive, batch.negative])  # project these items only, when they are the smaller part
        factors, bias = self._items(ids)
        positive, negative = torch.cat([lookup(self.item_embedding, ids), factors, bias], 1).chunk(2)
        user = lookup(self.user_embedding, batch.user)
        return torch.cat([user, user.new_ones(len(user), 1)], 1), positive, negative

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr`, `l2` and, if it has a weight, `feature_l2`; see `TrainedRecommender.loss`."""
        options = self.options
        ids = torch.cat([batch.positive, batch.negative])
        tables = [(self.user_embedding, batch.user), (self.item_embedding, ids)]
        if self.item_bias is not None:
            tables.append((self.item_bias, ids))
        squares = torch.stack([lookup(table, rows).square().sum() for table, rows in tables]).sum()
        terms = {"bpr": bpr(*self._rows(batch), batch.weight), "l2": options.l2 * squares / 2 / len(batch)}
        if options.feature_l2:
            weights = [*self.projections.values(), *self.feature_biases.values()]
            terms["feature_l2"] = options.feature_l2 * torch.stack([w.square().sum() for w in weights]).sum() / 2
        return terms
