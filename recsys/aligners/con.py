"""RLMRec-Con: the text of a user or an item tells its embedding apart from others.

Paper: Ren et al., "Representation Learning with Large Language Models for Recommendation", WWW 2024, section 3.3.
With final embeddings e, vectors of texts s, m a network with one hidden layer that users and items share, and
N(a, b; Z) the summed InfoNCE of rows a with positives b among candidates Z (`recsys.objectives.info_nce`), the term of
a batch of b triplets (u, p, n) is
    weight / b ( N(e_u, m(s_u); m(s of all users)) + N(e_p, m(s_p); m(s of the batch's p)) + the same of n )
Deviations: an item that the batch holds twice is one candidate, not two (`repeated`). Users and items without a text
have no part in it. Only texts that the term reads pass through m, and each once: equal rows of a batch have equal
losses, so they are counted instead of computed again. The published code encodes everybody in every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from recsys.aligners.base import Aligner, Embeddings
from recsys.aligners.texts import Texts, bridge, texts_of
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.objectives.info_nce import info_nce

if TYPE_CHECKING:
    from recsys.aligners.options import ConOptions
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.draws import Draws


class Nodes(NamedTuple):
    """Users or items of a batch that have a text.

    Attributes:
        ids: int64 [k], distinct.
        counts: [k], how many rows of the batch each stands for.
    """

    ids: Tensor
    counts: Tensor


class Con(Aligner):
    """See the module.

    Args:
        users, items: their texts.
        options: see `ConOptions`.
        dim: length of final embeddings.
        generator: draws the network, its hidden layer first.
    """

    def __init__(self, users: Texts, items: Texts, options: ConOptions, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        self.users, self.items, self.options = users, items, options
        self.mlp = bridge(users.dim, dim, (users.dim + dim) // 2, generator)

    @classmethod
    def build(
        cls,
        dataset: Dataset,
        side: SideInformation,
        options: ConOptions,
        *,
        start_dim: int,
        final_dim: int,
        generator: torch.Generator,
    ) -> Con:
        """See `Aligner.build`."""
        return cls(*texts_of(side, options), options, final_dim, generator)

    def terms(self, final: Embeddings, batch: Triplets, draw: Draws) -> dict[str, Tensor]:
        """The term `con`, or none where its weight is 0."""
        if not self.options.weight:
            return {}
        return {
            "con": self.options.weight / len(batch) * torch.stack(list(self.sums(final, batch, draw).values())).sum()
        }

    def sums(self, final: Embeddings, batch: Triplets, draw: Draws) -> dict[str, Tensor]:
        """N of `users`, of `positives` and, unless they are left out, of `negatives`: what is weighted in the term."""
        users = self._nodes(batch.user, self.users, draw, "bank of users")
        items = {"positives": self._nodes(batch.positive, self.items, draw, "bank of positives")}
        if self.options.negative_items:
            items["negatives"] = self._nodes(batch.negative, self.items, draw, "bank of negatives")
        sums = {"users": self._of_users(final.users, users)}
        read, places = self._distinct(torch.cat([nodes.ids for nodes in items.values()]), self.items)
        encoded = self.mlp(self.items.values[read])
        parts = places.split([len(nodes.ids) for nodes in items.values()])
        for (name, nodes), place in zip(items.items(), parts, strict=True):
            sums[name] = self._among_themselves(final.items, nodes, encoded, place)
        return sums

    def _nodes(self, ids: Tensor, texts: Texts, draw: Draws, name: str) -> Nodes:
        """The distinct ids that have a text, or as many of them as the bank holds, which then count for the others."""
        distinct, counts = ids.unique(return_counts=True)
        there = texts.place[distinct] >= 0
        distinct, counts = distinct[there], counts[there]
        bank = self.options.bank
        if bank == "all":
            return Nodes(distinct, counts)
        order = draw.uniform(name, len(texts.place))  # always as many, so that processes stay in step
        if len(distinct) <= bank:
            return Nodes(distinct, counts)
        drawn = order[distinct].topk(bank, sorted=False).indices
        chosen = counts[drawn]
        return Nodes(distinct[drawn], chosen * (counts.sum() / chosen.sum()))

    def _of_users(self, table: Tensor, nodes: Nodes) -> Tensor:
        texts = self.users
        if self.options.bank != "all":
            read, place = self._distinct(nodes.ids, texts)
            return self._among_themselves(table, nodes, self.mlp(texts.values[read]), place)
        encoded = self.mlp(texts.values)
        return self._info_nce(table, nodes, encoded, texts.place[nodes.ids], texts.owners)

    def _among_themselves(self, table: Tensor, nodes: Nodes, encoded: Tensor, place: Tensor) -> Tensor:
        """N of nodes whose candidates are their own texts, at the places [k] of those encoded [m, d]."""
        read, inverse = place.unique(return_inverse=True)
        each = nodes.counts if self.options.repeated else torch.ones_like(nodes.counts)
        multiplicity = torch.zeros(len(read), dtype=each.dtype, device=each.device).index_add_(0, inverse, each)
        return self._info_nce(table, nodes, lookup(encoded, read), inverse, multiplicity)

    def _info_nce(self, table: Tensor, nodes: Nodes, encoded: Tensor, place: Tensor, multiplicity: Tensor) -> Tensor:
        return info_nce(
            lookup(table, nodes.ids),
            lookup(encoded, place),
            encoded,
            self.options.temperature,
            weight=nodes.counts,
            multiplicity=multiplicity,
        )

    @staticmethod
    def _distinct(ids: Tensor, texts: Texts) -> tuple[Tensor, Tensor]:
        """The rows of `texts.values` that ids read, each once, and where among these each id's own is."""
        read, place = texts.place[ids].unique(return_inverse=True)
        return read, place
