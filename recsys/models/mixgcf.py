"""MixGCF: LightGCN that is trained against negatives put together of the hardest of many, hop by hop.

Paper: Huang et al., "MixGCF: An Improved Training Method for Graph Neural Network-based Recommender Systems", KDD 2021.
Equations: E^0 .. E^L as of `lightgcn`, e their mean. For a triplet of user u, positive p and candidates m, with a^l of
[0, 1) drawn for each hop l of each triplet:
    e'_m^l = a^l e_p^l + (1 - a^l) e_m^l (5), the hardest x_l = argmax over m of e_u . e'_m^l (7),
    e_neg = mean over l of e'_(x_l)^l (6).
Loss: BPR of u, p and e_neg, plus `l2` times a penalty on the rows of u, p and e'_(x_0)^0.
The candidates of a triplet share a^l, as in the authors' code, so that x_l = argmax over m of e_u . e_m^l: only the
hardest are mixed, and the others are looked up only where a product with all items is more.
Deviations: suggested triplets keep their negative, which is mixed with the positive as well. With side features the row
of an item in a hop is e^l plus them, whose mean over hops is what the item is scored by.
Relations: with one negative and no mixing it is `lightgcn`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from recsys.aligners.base import Embeddings
from recsys.batches.triplets import Triplets
from recsys.batches.unowned import UnownedItems
from recsys.draws import Draws
from recsys.gather import lookup
from recsys.graph.smoothing import SmoothingGraph
from recsys.models.parts.graph_recommender import Propagated
from recsys.models.parts.inner_products import inner_products
from recsys.models.parts.pairwise_graph import PairwiseGraphModel
from recsys.objectives.bpr import bpr, parameter_l2, rows_l2

if TYPE_CHECKING:
    from recsys.models.options.mixgcf import MixGcfOptions


@dataclass(frozen=True)
class Hopped(Propagated):
    """A pass of a training step.

    Attributes:
        items: of every hop from 0, the embeddings of all items.
        seed: from which the step's candidates and shares are drawn.
    """

    items: tuple[Tensor, ...]
    seed: int


class MixGCF(PairwiseGraphModel):
    """See the module, and `PairwiseGraphModel` for the arguments."""

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, options: MixGcfOptions, generator: torch.Generator
    ) -> None:
        super().__init__(edges, n_users, n_items, options, generator)
        self.options = options
        self.graph = SmoothingGraph(edges, n_users, n_items)
        self.unowned = UnownedItems(edges, n_users, n_items)

    def propagate(self, start: Embeddings, draw: Draws) -> Propagated:
        """See `GraphRecommender.propagate`; in training, `Hopped`."""
        layers = self.options.layers
        if not self.training:
            return Propagated(Embeddings(*self.graph(*start, layers)))
        hops = [start]
        for _ in range(layers):
            hops.append(Embeddings(*self.graph(*hops[-1], 1, pooling="sum", first=1)))
        users, items = zip(*hops, strict=True)
        final = Embeddings(torch.stack(users).mean(0), torch.stack(items).mean(0))
        return Hopped(final, items, int(draw.repeated("negatives", 1, 2**62)))

    def terms(self, passed: Propagated, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr` and `l2`; see `GraphRecommender.terms`."""
        assert isinstance(passed, Hopped)
        users, items = self.with_side(*passed.final)
        user, positive = lookup(users, batch.user), lookup(items, batch.positive)
        generator = torch.Generator(batch.user.device).manual_seed(passed.seed)
        candidates = self.candidates(batch, generator)
        added = items - passed.final.items if self.side is not None else None
        mixed = []
        for hop in passed.items:
            table = hop if added is None else hop + added
            with torch.no_grad():
                hardest = inner_products(user, table, candidates).argmax(1, keepdim=True)
            share = torch.rand(len(batch), 1, generator=generator, device=batch.user.device)
            chosen = lookup(table, candidates.gather(1, hardest)[:, 0])
            mixed.append(torch.lerp(chosen, lookup(table, batch.positive), share.to(chosen)))
        negative = torch.stack(mixed).mean(0)
        penalty = self._penalty_on(batch, mixed[0])
        return {"bpr": bpr(user, positive, negative, batch.weight), "l2": self.l2 * penalty}

    def candidates(self, batch: Triplets, generator: torch.Generator) -> Tensor:
        """int64 [b, negatives]: the batch's negative and others that are drawn, of suggested triplets it alone."""
        count = self.options.negatives
        own = batch.negative[:, None].expand(-1, count)
        others = self.unowned.draw(batch.user[: batch.observed, None].expand(-1, count - 1), generator)
        observed = torch.cat([own[: batch.observed, :1], others], 1)
        return torch.cat([observed, own[batch.observed :]])

    def _penalty_on(self, batch: Triplets, negative: Tensor) -> Tensor:
        if self.l2_kind == "all":
            return parameter_l2(self.parameters())
        rows = lookup(self.user_embedding, batch.user), lookup(self.item_embedding, batch.positive), negative
        return rows_l2(rows, self.l2_kind)
