"""What graph models have in common: embeddings that are propagated over the graph of users and items."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from recsys.aligners.base import Aligner, Embeddings
from recsys.draws import Draws
from recsys.models.base import EmbeddingRecommender, Fitted

if TYPE_CHECKING:
    from recsys.training.job import FitJob


@dataclass(frozen=True)
class Propagated:
    """What one pass over the graph gives; models that need more of it for their loss extend this.

    Attributes:
        final: embeddings after propagation, before attached side features.
    """

    final: Embeddings


class GraphRecommender(EmbeddingRecommender):
    """A model whose step is: start, propagate, terms. An aligner may take part in the first and the last.

    Its layers are as wide as `aligner.start_dim(dim)` of its options says.

    Attributes:
        user_embedding, item_embedding: the tables that are propagated.
        aligner: see `recsys.aligners.base`.
        draw: for what the model or the aligner draws anew in each step; in a training, of one of the job's generators.
    """

    user_embedding: nn.Parameter
    item_embedding: nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        self.aligner = Aligner()
        self.draw = Draws(torch.Generator())

    def attach_aligner(self, aligner: Aligner) -> None:
        """Lets an aligner take part in every later step."""
        self.aligner = aligner

    def table(self) -> Embeddings:
        """The embeddings before propagation."""
        return Embeddings(self.user_embedding, self.item_embedding)

    @abstractmethod
    def propagate(self, start: Embeddings, draw: Draws) -> Propagated:
        """One pass over the graph.

        Args:
            start: `table()`, with what the aligner made of it.
            draw: for what the model draws while it trains.
        """

    @abstractmethod
    def terms(self, passed: Propagated, batch: Any) -> dict[str, Tensor]:
        """The model's own terms of a batch, already weighted; see `TrainedRecommender.loss`."""

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`; of an aligner its `join` takes part."""
        return self.with_side(*self.propagate(self.aligner.join(self.table()), self.draw).final)

    def loss(self, batch: Any) -> dict[str, Tensor]:
        """The terms of the model and of the aligner; see `TrainedRecommender.loss`."""
        passed = self.propagate(self.aligner.start(self.aligner.join(self.table()), self.draw), self.draw)
        own, added = self.terms(passed, batch), self.aligner.terms(passed.final, batch, self.draw)
        if own.keys() & added.keys():
            raise ValueError(f"the model and its aligner both have a term {', '.join(own.keys() & added.keys())}")
        return own | added

    def fit(self, job: FitJob) -> Fitted:
        """See `Recommender.fit`."""
        self.draw = Draws(job.generator("propagation"))
        return super().fit(job)
