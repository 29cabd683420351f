"""What all models of ratings by fields have in common: y = b + sum of weights + what the model makes of the embeddings.

Loss: the mean over a batch's pairs of (y - r)^2, and of l2 / 2 times the squares of what they read of both tables.
b starts at the mean of the training ratings, so that nothing has to be learned of the scale.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.batches.rated import RatedPairs, RatingBatches, rating_batches
from recsys.data.ratings import known_ratings
from recsys.fields.fields import EntityFields, entity_fields
from recsys.models.base import TrainedRecommender
from recsys.models.ctr.field_table import FieldIndex, FieldTable

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.field_model import FieldModelOptions
    from recsys.training.job import FitJob

EMBEDDING_STD = 0.01


class FieldModel(TrainedRecommender):
    """See the module.

    Args:
        fields: of users and items.
        mean: of the training ratings.
        options: of the family.
        generator: draws weights, then embeddings.

    Attributes:
        width: fields of a pair.
    """

    def __init__(
        self, fields: EntityFields, mean: float, options: FieldModelOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.l2 = options.l2
        self.index = FieldIndex(fields)
        self.width = len(self.index.names)
        self.bias = nn.Parameter(torch.tensor(mean))
        pooling = options.fields.pooling
        own = FieldTable(self.index, 1, pooling, EMBEDDING_STD, generator)
        self.first_order = own if options.linear else None
        self.embedding = FieldTable(self.index, options.dim, pooling, EMBEDDING_STD, generator)

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: FieldModelOptions, generator: torch.Generator
    ) -> Self:
        """See `recsys.models.build`.

        Raises:
            DataError: the data have no ratings, or not the fields that the options name.
        """
        ratings = known_ratings(dataset, "train")
        mean = float(ratings.mean(dtype="float64")) if len(ratings) else 0.0
        return cls(entity_fields(dataset, side, options.fields, options.family), mean, options, generator)

    @abstractmethod
    def interaction(self, embedded: Tensor) -> Tensor:
        """What the embeddings [b, fields, dim] of pairs add to their ratings, [b]."""

    def forward(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Ratings [b] of pairs int64 [b, 2], and the squares of the embeddings and weights that each pair reads [b]."""
        rows = self.index(pairs)
        embedded = self.embedding(rows)
        rating = self.bias + self.interaction(embedded)
        squares = embedded.square().sum(dim=(1, 2))
        if self.first_order is not None:
            weights = self.first_order(rows)[:, :, 0]
            rating, squares = rating + weights.sum(dim=1), squares + weights.square().sum(dim=1)
        return rating, squares

    def rate(self, pairs: Tensor) -> Tensor:
        """See `Recommender.rate`."""
        return self(pairs)[0].float()

    def batches(self, job: FitJob) -> RatingBatches:
        """See `TrainedRecommender.batches`."""
        return rating_batches(job)

    def loss(self, batch: RatedPairs) -> dict[str, Tensor]:
        """Terms `mse` and `l2`; see `TrainedRecommender.loss`."""
        rating, squares = self(batch.pairs)
        return {"mse": F.mse_loss(rating, batch.ratings), "l2": self.l2 * squares.mean() / 2}
