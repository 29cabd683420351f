"""BERT4Rec: self-attention to both sides says which items were hidden, and so what stands behind the newest.

Paper: Sun et al., "BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from Transformer",
CIKM 2019.
Equations: h_t = V_(s_t) + P_t, V items and P positions. A block is norm(x + dropout(MH(x))), then
    norm(x + dropout(FFN(x))), with FFN(x) = GELU(x W_1 + b_1) W_2 + b_2, four times as wide inside (1-5);
    P(i | t) = softmax(GELU(h_t W_P + b_P) V^T + b_O)_i (7).
Loss: the mean over hidden items of -ln P(item) at the place where it is hidden (8). When the model is asked, a hidden
item is put behind the newest, and what is made of it is compared with the items.
Deviations: Xavier-uniform parameters where the authors' code cuts off normal ones; every window has a hidden item; in a
share of the windows (`hide_newest`) only the newest is hidden, which their code makes one window in eleven.
Relations: `sasrec` sees one side only and learns from every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.batches.cloze import Cloze, ClozeBatches
from recsys.batches.next_items import inserted_sequences
from recsys.batches.sequences import HIDDEN, Sequences, TrainingWindows, Windows
from recsys.linear_layer import xavier_linear
from recsys.models.parts.sequence_recommender import SequenceRecommender
from recsys.models.parts.transformer import Block

if TYPE_CHECKING:
    from recsys.data.dataset import Dataset
    from recsys.models.options.bert4rec import Bert4RecOptions
    from recsys.training.job import FitJob


class BERT4Rec(SequenceRecommender):
    """See the module, and `SequenceRecommender` for the arguments."""

    def __init__(self, dataset: Dataset, options: Bert4RecOptions, generator: torch.Generator) -> None:
        super().__init__(dataset, options, generator)
        self.options = options
        self.hide_items(generator)
        self.item_bias = nn.Parameter(torch.zeros(dataset.n_items))
        self.blocks = nn.ModuleList(
            Block(
                options.dim,
                options.heads,
                options.dropout,
                causal=False,
                projected=True,
                hidden=4 * options.dim,
                activation=F.gelu,
                order="outputs",
                generator=generator,
            )
            for _ in range(options.blocks)
        )
        self.head = xavier_linear(options.dim, options.dim, generator)

    def states(self, windows: Windows) -> Tensor:
        """See `SequenceRecommender.states`; what stands behind a window is hidden from its items."""
        visible = windows.real[:, None, None, :]
        rows = self.embedded(windows)
        for block in self.blocks:
            rows = block(rows, visible)
        return F.gelu(self.head(rows))

    def asked(self, context: Sequences, users: Tensor) -> tuple[Windows, Tensor]:
        """See `SequenceRecommender.asked`: a hidden item behind the newest, also of those who have none."""
        windows = context.latest(users, self.length - 1).appended(HIDDEN)
        return windows, windows.length - 1

    def batches(self, job: FitJob) -> ClozeBatches:
        """See `TrainedRecommender.batches`."""
        options = self.options
        windows = TrainingWindows(
            inserted_sequences(job, options),
            span=options.length,
            overlap=0,
            every=options.windows == "all",
            batch_size=job.training.batch_size,
            generator=job.generator("windows"),
        )
        return ClozeBatches(windows, rate=options.hide, newest=options.hide_newest, generator=job.generator("sampler"))

    def loss(self, batch: Cloze) -> dict[str, Tensor]:
        """One term, `cloze`; see `TrainedRecommender.loss`."""
        states, places = self.predictions(self.states(batch.shown), batch.hidden)
        return {"cloze": self.softmax_loss(states, batch.targets.flatten()[places])}
