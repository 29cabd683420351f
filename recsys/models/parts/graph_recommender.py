"""The base class of graph models, which propagate embeddings over the graph of users and items."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from recsys.aligners.base import Aligner, Embeddings
from recsys.draws import Draws
from recsys.models.base import EmbeddingRecommender, Fitted

if TYPE_CHECKING:
    from recsys.batches.triplets import Triplets
    from recsys.training.job import FitJob


@dataclass(frozen=True)
class Propagated:
    """The result of one pass over the graph; models whose loss needs more of it extend this class.

    Attributes:
        final: embeddings after propagation, before attached side features.
        places: where a batch's rows are, if `final` has only these: the batch with places instead of ids.
    """

    final: Embeddings
    places: Triplets | None = field(default=None, kw_only=True)


class GraphRecommender(EmbeddingRecommender):
    """A model that propagates a table of embeddings, and computes its loss from the result.

    An aligner may change the embeddings before they are propagated, and may add terms to the loss. The layers are as
    wide as `aligner.start_dim(dim)` of the options says.

    Attributes:
        user_embedding, item_embedding: the tables that are propagated.
        aligner: see `recsys.aligners.base`.
        draw: the random draws of the model and the aligner in each step; in a training, from a generator of the job.
    """

    user_embedding: nn.Parameter
    item_embedding: nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        self.aligner = Aligner()
        self.draw = Draws(torch.Generator())

    def attach_aligner(self, aligner: Aligner) -> None:
        """Sets the aligner for every step from now on."""
        self.aligner = aligner

    def table(self) -> Embeddings:
        """The embeddings before propagation."""
        return Embeddings(self.user_embedding, self.item_embedding)

    @abstractmethod
    def propagate(self, start: Embeddings, draw: Draws) -> Propagated:
        """One pass over the graph.

        Args:
            start: `table()` after the aligner has changed it.
            draw: the random draws of the model in training.
        """

    def propagate_for(self, batch: Any, start: Embeddings, draw: Draws) -> Propagated:
        """The pass of a training step; a model may leave out what `terms` does not read of it.

        The aligner and attached side features read all rows.
        """
        return self.propagate(start, draw)

    @abstractmethod
    def terms(self, passed: Propagated, batch: Any) -> dict[str, Tensor]:
        """The model's own loss terms of a batch, already weighted; see `TrainedRecommender.loss`."""

    def forward(self) -> tuple[Tensor, Tensor]:
        """See `EmbeddingRecommender.forward`; the aligner's `join` applies here, too."""
        return self.with_side(*self.propagate(self.aligner.join(self.table()), self.draw).final)

    def loss(self, batch: Any) -> dict[str, Tensor]:
        """The loss terms of the model and of the aligner; see `TrainedRecommender.loss`."""
        passed = self.propagate_for(batch, self.aligner.start(self.aligner.join(self.table()), self.draw), self.draw)
        own, added = self.terms(passed, batch), self.aligner.terms(passed.final, batch, self.draw)
        if own.keys() & added.keys():
            raise ValueError(f"the model and its aligner both have a term {', '.join(own.keys() & added.keys())}")
        return own | added

    def fit(self, job: FitJob) -> Fitted:
        """See `Recommender.fit`."""
        self.draw = Draws(job.generator("propagation"))
        return super().fit(job)
