"""Rated pairs of a user and an item: every training rating once per epoch, in an order that is drawn anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from augrec.artefacts.errors import DataError
from recsys.data.ratings import known_ratings

if TYPE_CHECKING:
    from recsys.training.job import FitJob


@dataclass(frozen=True, eq=False)
class RatedPairs:
    """A batch.

    Attributes:
        pairs: int64 [b, 2] of user and item.
        ratings: float32 [b].
    """

    pairs: Tensor
    ratings: Tensor

    def __len__(self) -> int:
        return len(self.pairs)

    def to(self, device: torch.device | str) -> RatedPairs:
        """The batch on another device."""
        return RatedPairs(self.pairs.to(device), self.ratings.to(device))

    def share(self, rank: int, size: int) -> RatedPairs:
        """Every `size`-th pair; a batch with fewer pairs than processes is given to each of them whole."""
        if size == 1 or len(self) < size:
            return self
        return RatedPairs(self.pairs[rank::size], self.ratings[rank::size])


class RatingBatches:
    """The batches of a model that learns from ratings.

    Args:
        pairs: int64 [m, 2] of user and item.
        ratings: float32 [m].
        batch_size: pairs per batch; the last one of an epoch may be smaller.
        generator: draws the order; batches lie on its device.
    """

    def __init__(self, pairs: np.ndarray, ratings: np.ndarray, *, batch_size: int, generator: torch.Generator) -> None:
        if not len(pairs):
            raise DataError("there is no training rating to learn from", remedy="check dataset.split and min_rating")
        self.all = RatedPairs(torch.from_numpy(pairs), torch.from_numpy(ratings)).to(generator.device)
        self.batch_size, self.generator = batch_size, generator
        self.notes = [f"{len(self.all)} ratings from {ratings.min():g} to {ratings.max():g}"]

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-len(self.all) // self.batch_size)

    def epoch(self) -> Iterator[RatedPairs]:
        """See `Batches.epoch`."""
        order = torch.randperm(len(self.all), generator=self.generator, device=self.generator.device)
        for rows in order.split(self.batch_size):
            yield RatedPairs(self.all.pairs[rows], self.all.ratings[rows])


def rating_batches(job: FitJob) -> RatingBatches:
    """The ratings of the training interactions.

    Raises:
        DataError: the data have none, or one is missing.
    """
    return RatingBatches(
        job.dataset.train,
        known_ratings(job.dataset, "train"),
        batch_size=job.training.batch_size,
        generator=job.generator("ratings"),
    )
