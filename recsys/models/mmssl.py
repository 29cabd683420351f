"""MMSSL: what users make of modalities gives new relations, learned in an adversarial game, and contrastive views.

Paper: Wei et al., "Multi-Modal Self-Supervised Learning for Recommendation", WWW 2023.
Equations, with P and Q the hops users <- items and items <- users over interactions, P_m and Q_m those over modality
m's relations, n() the L2 normalisation of rows, and z_m = dropout(linear(features)):
    modality      f_u = P z_m, f_i = Q f_u;   relations of m: the items of the largest f_u . f_i that a user has not
    each modality e_u^m = P_m E_i, e_i^m = Q_m E_u
    attention     a_m = W [sum over m' of softmax(q_hm . k_hm' / sqrt(d/H)) e^m' for each head h],   a = mean of a_m
    IDs           u_0 = E_u + s n(a_u), i_0 = E_i + s n(a_i);   u_l = P i_{l-1}, i_l = Q u_l; a softmax follows the last
    U = mean(u_0 .. u_L) + w sum over m of n(f_u), items likewise;   score = U . I
Loss: BPR(U, I), `contrast` times the sum over m of `two_views(e_u^m, U)` over the batch's users, penalties, and minus
`adversary.weight` times the mean of D(n(f_u . f_i of the items a user has not)). The discriminator D makes a step of
its own before, see `recsys.models.parts.discriminator`.
Deviations: relations are found once per epoch for all users, where the published code has none after the second step;
D sees some users of a batch; a user stands once in a batch's contrastive loss. Other slips of the published code are
options. With one modality attention has nothing to choose, and no queries or keys. Items without a vector have z = 0;
unused layers do not exist here. The published learning rate falls by 4 % in 50 epochs, here it is constant.
Relations: of the line of `lattice` and `micro`; `llmrec` grew out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.augmentation import FeatureMatrix
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.graph.adjacency import Operator, bipartite
from recsys.linear_layer import xavier_linear
from recsys.models.base import Objective, embedding_table
from recsys.models.parts.discriminator import BETAS, Discriminator, observed_rows
from recsys.models.parts.feature_projection import Features
from recsys.models.parts.modalities import ModalityRecommender
from recsys.models.parts.relations import Interactions
from recsys.objectives.bpr import batch_l2, bpr
from recsys.objectives.features import feature_penalty
from recsys.objectives.two_views import two_views

if TYPE_CHECKING:
    from recsys.models.options.mmssl import MmsslOptions


class Propagated(NamedTuple):
    """One pass: final embeddings [n, d], users before propagation, and per modality [modalities, n, d] f and e."""

    users: Tensor
    items: Tensor
    fused_users: Tensor
    feature_users: Tensor
    feature_items: Tensor
    each_user: Tensor


class MMSSL(ModalityRecommender):
    """See the module.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        modalities: item features by name.
        options: of the family.
        generator: draws the initial parameters: users, items, projections, attention, discriminator.
    """

    def __init__(
        self,
        edges: np.ndarray,
        n_users: int,
        n_items: int,
        modalities: Mapping[str, FeatureMatrix],
        options: MmsslOptions,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.options, self.embedding_dim = options, options.dim
        self.user_embedding = embedding_table(n_users, options.dim, generator)
        self.item_embedding = embedding_table(n_items, options.dim, generator)
        self.to_users, self.to_items = bipartite(edges, n_users, n_items, options.norm)
        self.interactions = Interactions(edges, n_users, n_items)
        self.features, self.projections = nn.ModuleDict(), nn.ModuleDict()
        for name, matrix in modalities.items():
            self.features[name] = Features(matrix)
            self.projections[name] = xavier_linear(matrix.dim, options.dim, generator)
        self.dropout = nn.Dropout(options.dropout)
        self.queries = embedding_table(options.dim, options.dim, generator) if len(modalities) > 1 else None
        own_keys = len(modalities) > 1 and options.attention_keys == "own"
        self.keys = embedding_table(options.dim, options.dim, generator) if own_keys else None
        self.merge = embedding_table(options.heads * options.dim, options.dim, generator)
        self.discriminator: Discriminator | None = None
        if options.adversary.weight:
            self.discriminator = Discriminator(n_items, options.adversary, generator)
        self.relations = nn.ModuleDict()

    def objectives(self) -> tuple[Objective, ...]:
        """The discriminator's move, then the model's."""
        return (self.loss,) if self.discriminator is None else (self.discriminator_loss, self.loss)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The model's parameters, and the discriminator's with settings of their own."""
        if self.discriminator is None:
            return super().parameter_groups()
        apart = list(self.discriminator.parameters())
        ids = {id(parameter) for parameter in apart}
        settings = {"lr": self.options.adversary.lr, "betas": BETAS, "weight_decay": 0.0}
        return [{"params": [p for p in self.parameters() if id(p) not in ids]}, {"params": apart, **settings}]

    def train(self, mode: bool = True) -> MMSSL:
        """See `EmbeddingRecommender.train`; forgets the generated relations, so an epoch starts with new ones."""
        self.relations.clear()
        super().train(mode)
        return self

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`."""
        p = self.propagate()
        return self.with_side(p.users, p.items)

    def propagate(self) -> Propagated:
        """One pass over all graphs."""
        options = self.options
        feature_users, feature_items = self._feature_views(self.dropout)
        each_user, each_item = self._each_modality()
        fused = users = self.user_embedding + options.attention_scale * F.normalize(self._attended(each_user))
        items = self.item_embedding + options.attention_scale * F.normalize(self._attended(each_item))
        sum_users, sum_items = users, items
        for layer in range(1, options.layers + 1):
            last = layer == options.layers and options.final_softmax
            users = self.to_users @ items
            users = users.softmax(1) if last else users
            items = self.to_items @ users
            items = items.softmax(1) if last else items
            sum_users, sum_items = sum_users + users, sum_items + items
        final_users = sum_users / (options.layers + 1) + options.modality_scale * F.normalize(feature_users, dim=2).sum(
            0
        )
        final_items = sum_items / (options.layers + 1) + options.modality_scale * F.normalize(feature_items, dim=2).sum(
            0
        )
        return Propagated(final_users, final_items, fused, feature_users, feature_items, each_user)

    def _feature_views(self, dropout: nn.Module) -> tuple[Tensor, Tensor]:
        """f of users and of items, [modalities, n, d]."""
        parts = [cast(Features, self.features[name]).projected(layer) for name, layer in self.projections.items()]
        users = self.to_users @ dropout(torch.cat(parts, 1))
        items = self.to_items @ users
        users, items = (side.unflatten(1, (len(parts), self.options.dim)).transpose(0, 1) for side in (users, items))
        return users, items

    def _each_modality(self) -> tuple[Tensor, Tensor]:
        """e of users and of items, [modalities, n, d]."""
        if self.options.relations == "observed":
            hops = [(self.to_users, self.to_items)] * len(self.projections)
        else:
            hops = self._generated()
        users = [to_users @ self.item_embedding for to_users, _ in hops]
        items = [to_items @ self.user_embedding for _, to_items in hops]
        return torch.stack(users), torch.stack(items)

    @torch.no_grad()
    def _generated(self) -> list[tuple[Operator, Operator]]:
        """The hops over each modality's relations; those of an epoch stay, in evaluation they are found again."""
        if not self.training:
            self.relations.clear()
        if not self.relations:
            views = self._feature_views(nn.Identity())
            for name, users, items in zip(self.projections, *views, strict=True):
                edges = self.interactions.most_similar_others(users, self._compared(items), self.options.relation_items)
                hops = bipartite(edges, *self.interactions.sizes, self.options.norm)
                self.relations[name] = nn.ModuleList(hops).to(self.user_embedding)
        return [cast(tuple[Operator, Operator], tuple(cast(nn.ModuleList, hops))) for hops in self.relations.values()]

    def _attended(self, each: Tensor) -> Tensor:
        """What attention between modalities [modalities, n, d] makes of them: [n, d]."""
        modalities, n, dim = each.shape
        if self.queries is None:
            values = each[:, None].expand(-1, self.options.heads, -1, -1)
        else:
            shape = (modalities, n, self.options.heads, dim // self.options.heads)
            queries = (each @ self.queries).view(shape)
            keys = queries if self.keys is None else (each @ self.keys).view(shape)
            score = torch.einsum("anhd,bnhd->abhn", queries, keys) / (dim // self.options.heads) ** 0.5
            values = torch.einsum("abhn,bnd->ahnd", score.softmax(1), each)
        return values.transpose(1, 2).reshape(modalities, n, -1).mean(0) @ self.merge

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr`, `l2`, `feature_reg`, `contrast` and `adversary`, as far as they have a weight."""
        options, p = self.options, self.propagate()
        *_, penalty = batch_l2(p.users, p.items, batch)
        users, items = self.with_side(p.users, p.items)
        rows = lookup(users, batch.user), lookup(items, batch.positive), lookup(items, batch.negative)
        terms = {"bpr": bpr(*rows, batch.weight), "l2": options.l2 * penalty}
        if options.feature_reg:
            squares = (view.transpose(0, 1) for view in (p.feature_users, p.feature_items))
            terms["feature_reg"] = options.feature_reg * feature_penalty(*squares)
        if options.contrast:
            chosen, other = batch.user.unique(), p.users if options.contrast_with == "final" else p.fused_users
            views = [two_views(lookup(e, chosen), lookup(other, chosen), options.temperature) for e in p.each_user]
            terms["contrast"] = options.contrast * torch.stack(views).sum()
        seen = self._seen_users(batch)
        if self.discriminator is not None and seen is not None:
            judged = self.discriminator.fixed(self._generated_rows(p, seen))
            terms["adversary"] = -options.adversary.weight * judged.mean()
        return terms

    def discriminator_loss(self, batch: Triplets) -> dict[str, Tensor]:
        """The discriminator's terms, none for a batch of which it sees a single row."""
        seen = self._seen_users(batch)
        if self.discriminator is None or seen is None:
            return {}
        with torch.no_grad():
            p = self.propagate()
            owned = self.interactions.rows(seen, p.users.dtype)
            similar = F.normalize(lookup(p.users, seen) @ p.items.T * (1 - owned))
            observed = observed_rows(owned, similar, self.options.adversary)
            generated = self._generated_rows(p, seen)
        return self.discriminator.terms(generated, observed.repeat(len(self.projections), 1))

    def _seen_users(self, batch: Triplets) -> Tensor | None:
        """int64, the first different users of a batch, up to a number; None where they give less than two rows."""
        users = batch.user[: self.options.adversary.users].unique()
        return users if len(users) * len(self.projections) > 1 else None

    def _generated_rows(self, p: Propagated, users: Tensor) -> Tensor:
        """What each modality makes of users: similarities to the items they have not, [modalities * users, n_items]."""
        others = 1 - self.interactions.rows(users, p.users.dtype)
        views = zip(p.feature_users, p.feature_items, strict=True)
        return torch.cat([F.normalize(lookup(f_u, users) @ self._compared(f_i).T * others) for f_u, f_i in views])

    def _compared(self, items: Tensor) -> Tensor:
        """Features of items [n_items, d] as they meet those of users; a user's own length is without effect."""
        return F.normalize(items) if self.options.similarity == "cosine" else items
