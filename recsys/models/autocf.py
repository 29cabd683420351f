"""AutoCF: a graph with masked surroundings is encoded, and attention over random pairs restores what was masked.

Paper: Xia et al., "Automated Self-Supervised Learning for Recommendation", WWW 2023.
Equations, with A' the normalised graph without the interactions around the seeds and P the decoder's pattern (see
`recsys.models.parts.masked_graphs`):
    seeds     those with the largest s = ln sigmoid(cos(mean of e over two hops, e)) + Gumbel noise    (3, 4)
    encoder   e_{l+1} = A' e_l                                                                         (7)
    decoder   e_{l+1} = attention over P (see `recsys.models.parts.graph_attention`)                   (8)
    E = the sum of e_0 and of every layer's output;   score = E_u . E_i
Loss, all means: `-E_u . E_p` of the batch (9), `ln sum over items of exp(E_u . E_j)` of the batch, `contrast` times
`ln sum over users of exp(E_u . E_v)` of its users and the same of its items among items (12), `-s` in steps that draw
(5), and `l2` times a penalty.
Graphs are drawn every `redraw_every` steps of an epoch, which begins with a draw: nothing of them lives longer than
an epoch, so a training that goes on from a snapshot ends as if it had not stopped. In evaluation nothing is masked.
Deviations: slips of the published code are options. Log-sums are stable and hold a block at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from recsys.aligners.base import Embeddings
from recsys.batches.triplets import Triplets
from recsys.draws import Draws
from recsys.gather import lookup
from recsys.models.parts.graph_attention import GraphAttention
from recsys.models.parts.graph_recommender import Propagated
from recsys.models.parts.masked_graphs import Masked, MaskedGraphs
from recsys.models.parts.pairwise_graph import PairwiseGraphModel
from recsys.objectives.info_nce import log_sums

if TYPE_CHECKING:
    from recsys.models.options.autocf import AutoCfOptions


class AutoCF(PairwiseGraphModel):
    """See the module, and `PairwiseGraphModel` for the arguments; attention is drawn after the tables.

    Attributes:
        graphs: draws the graphs.
        masked: those of the current steps, None where none were drawn yet.
    """

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, options: AutoCfOptions, generator: torch.Generator
    ) -> None:
        super().__init__(edges, n_users, n_items, options, generator)
        self.options = options
        self.attention = nn.ModuleList(
            GraphAttention(self.embedding_dim, options.heads, scaled=options.scaled_attention, generator=generator)
            for _ in range(options.attention_layers)
        )
        self.graphs = MaskedGraphs(edges, n_users, n_items, options)
        self.masked: Masked | None = None
        self.draws_now = False

    def train(self, mode: bool = True) -> AutoCF:
        """See `EmbeddingRecommender.train`; an epoch starts with new graphs."""
        self.masked = None
        super().train(mode)
        return self

    def before_step(self, step: int) -> None:
        """Draws new graphs in every `redraw_every`-th step."""
        self.draws_now = step % self.options.redraw_every == 0
        if self.draws_now:
            self.masked = self.graphs.draw(self.table(), self.draw)

    def propagate(self, start: Embeddings, draw: Draws) -> Propagated:
        """See `GraphRecommender.propagate`; over masked graphs while training, over everything else."""
        if self.training and self.masked is None:
            self.before_step(0)
        graphs = self.masked.graphs if self.training and self.masked is not None else self.graphs.whole()
        smoothed, users, items = start, start.users, start.items
        for _ in range(self.options.layers):
            smoothed = graphs.smoothed(smoothed)
            users, items = users + smoothed.users, items + smoothed.items
        x, total = torch.cat(smoothed), torch.cat([users, items])
        for layer in self.attention:
            x = layer(x, graphs.decoder)
            total = total + x
        return Propagated(Embeddings(*total.split(self.sizes)))

    def terms(self, passed: Propagated, batch: Triplets) -> dict[str, Tensor]:
        """Terms `recovery`, `contrast`, `infomax` and `l2`; see `GraphRecommender.terms`."""
        options = self.options
        users, items = self.with_side(*passed.final)
        pairs = (lookup(users, batch.user) * lookup(items, batch.positive)).sum(1)
        among_users, among_items, between = self.log_sums(users, items, batch)
        terms = {
            "recovery": -(_shares(batch, users) * pairs).sum(),
            "contrast": options.contrast * (among_users + among_items) + between,
            "l2": self.l2 * self._penalty(batch),
        }
        if self.draws_now and self.masked is not None:
            scores = self.graphs.closeness(self.table())
            terms["infomax"] = -(scores + self.masked.noise if options.noisy_infomax else scores).mean()
        return terms

    @staticmethod
    def log_sums(users: Tensor, items: Tensor, batch: Triplets) -> tuple[Tensor, Tensor, Tensor]:
        """Means of the log-sums of exponentials of inner products.

        Args:
            users, items: all final embeddings.
            batch: whose users and positive items are looked at.

        Returns:
            Its users among all users, each once; its items among all items, each once; the users of its triplets,
            as often as they occur and by their weights, among all items.
        """
        own, place = batch.user.unique(return_inverse=True)
        chosen = batch.positive.unique()
        own_rows, chosen_rows = lookup(users, own), lookup(items, chosen)
        shares = _shares(batch, users)
        return (
            log_sums(own_rows, users) / len(own),
            log_sums(chosen_rows, items) / len(chosen),
            log_sums(own_rows, items, weight=shares.new_zeros(len(own)).index_add(0, place, shares)),
        )


def _shares(batch: Triplets, like: Tensor) -> Tensor:
    """How much each triplet counts in a mean; sums to 1."""
    weight = like.new_ones(len(batch)) if batch.weight is None else batch.weight.to(like)
    return weight / weight.sum().clamp_min(1e-12)
