"""SASRec: self-attention over what a user took so far says what comes next.

Paper: Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018.
Equations: E_t = sqrt(d) M_(s_t) + P_t, M items and P positions (1).
    S = SA(E) = softmax(E W_Q (E W_K)^T / sqrt(d) + causal) E W_V (2, 3), F = ReLU(S W_1 + b_1) W_2 + b_2 (4), each of
    them inside g(x) = x + dropout(g(norm(x))); b such blocks, then a last norm; score(t, i) = F_t . M_i (6).
Loss: `binary`: -mean over steps of ln sigmoid(r_next) + ln(1 - sigmoid(r_other)), the other item drawn from those that
the user does not have (7). `cross_entropy`: -mean over steps of ln softmax(r)_next over all items, as in Klenitskiy and
Vasilev, RecSys 2023.
Deviations: the factor sqrt(d) and the last norm are the authors' code's; mean over steps; no l2, which both leave at 0.
Options: the code normalises only the queries, whose normalised rows then are what attention adds to (`released`).
Relations: `cl4srec` adds a contrast; `bert4rec` looks to both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.batches.next_items import NextItemBatches, NextItems, next_item_batches
from recsys.batches.sequences import Sequences, Windows
from recsys.gather import lookup
from recsys.models.parts.sequence_recommender import SequenceRecommender
from recsys.models.parts.transformer import Block

if TYPE_CHECKING:
    from recsys.data.dataset import Dataset
    from recsys.models.options.sasrec import NextItemOptions
    from recsys.training.job import FitJob


class SASRec(SequenceRecommender):
    """See the module, and `SequenceRecommender` for the arguments."""

    def __init__(self, dataset: Dataset, options: NextItemOptions, generator: torch.Generator) -> None:
        super().__init__(dataset, options, generator)
        self.options = options
        self.blocks = nn.ModuleList(
            Block(
                options.dim,
                options.heads,
                options.dropout,
                causal=True,
                projected=False,
                hidden=options.dim,
                activation=F.relu,
                order=options.normalised,
                generator=generator,
            )
            for _ in range(options.blocks)
        )
        self.last_norm = nn.LayerNorm(options.dim)

    def states(self, windows: Windows) -> Tensor:
        """See `SequenceRecommender.states`; no item's depends on a later one, so none on what stands behind them."""
        rows = self.embedded(windows, self.dim**0.5)
        for block in self.blocks:
            rows = block(rows, None)
        return self.last_norm(rows)

    def asked(self, context: Sequences, users: Tensor) -> tuple[Windows, Tensor]:
        """See `SequenceRecommender.asked`: the newest item; -1 of those who have none."""
        windows = context.latest(users, self.length)
        return windows, windows.length - 1

    def batches(self, job: FitJob) -> NextItemBatches:
        """See `TrainedRecommender.batches`."""
        return next_item_batches(job, self.options, negatives=self.options.loss == "binary")

    def loss(self, batch: NextItems) -> dict[str, Tensor]:
        """One term, `binary` or `cross_entropy`; see `TrainedRecommender.loss`."""
        states, places = self.predictions(self.states(batch.shown), batch.shown.real)
        targets = batch.targets.flatten()[places]
        if self.options.loss == "cross_entropy":
            return {"cross_entropy": self.softmax_loss(states, targets)}
        assert batch.negatives is not None
        right, wrong = (
            (states * lookup(self.item_embedding, items)).sum(1)
            for items in (targets, batch.negatives.flatten()[places])
        )
        return {"binary": (F.softplus(-right) + F.softplus(wrong)).mean()}
