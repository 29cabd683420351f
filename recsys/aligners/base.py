"""The base class of aligners, which relate the embeddings of a graph model to vectors of text.

An aligner acts before and after propagation: `join` may add to the table of embeddings, `start` may replace rows of it
in a training step, and `terms` may add losses on the propagated embeddings. The graph model does not know which aligner
it has, so one aligner serves every graph model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.draws import Draws


class Embeddings(NamedTuple):
    """Embeddings of all users [n_users, d] and of all items [n_items, d]."""

    users: Tensor
    items: Tensor


class Aligner(nn.Module):
    """Does nothing; subclasses override what they need. Its parameters are trained with those of the model."""

    @property
    def reads_final(self) -> bool:
        """Whether its terms are of propagated embeddings."""
        return type(self).terms is not Aligner.terms

    @classmethod
    def build(
        cls,
        dataset: Dataset,
        side: SideInformation,
        options: Any,
        *,
        start_dim: int,
        final_dim: int,
        generator: torch.Generator,
    ) -> Aligner:
        """Makes the aligner of one model.

        Args:
            dataset, side: the data and the side information of the model.
            options: the options of this kind of aligner.
            start_dim, final_dim: the length of the model's own embeddings, and of the propagated ones.
            generator: draws the initial parameters; the model has drawn its own before.
        """
        return cls()

    def join(self, table: Embeddings) -> Embeddings:
        """The embeddings that are propagated instead of the model's own, in training and in evaluation.

        Rows have the length that the options' `start_dim` says.

        Args:
            table: the model's own embeddings; must not be changed in place.
        """
        return table

    def start(self, table: Embeddings, draw: Draws) -> Embeddings:
        """The embeddings that are propagated in a training step, instead of those of `join`.

        Args:
            table: the embeddings of `join`; must not be changed in place.
            draw: the random draws of this step.
        """
        return table

    def terms(self, final: Embeddings, batch: Any, draw: Draws) -> dict[str, Tensor]:
        """Named scalar loss terms of a training step, already weighted; `start` was called before.

        Args:
            final: the embeddings after propagation.
            batch: one of the model's batches.
            draw: the random draws of this step, as in `start`.
        """
        return {}
