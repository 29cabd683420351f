"""What an aligner is; this one aligns nothing.

It stands between the first layer of a graph model and the last: `join` may add to the table of embeddings before they
are propagated, `start` may replace rows of it in a training step, `terms` sees what comes of them and may add to the
loss. So one aligner serves every graph model, and a graph model knows no aligner.
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
    """Of all users [n_users, d] and all items [n_items, d]."""

    users: Tensor
    items: Tensor


class Aligner(nn.Module):
    """Leaves a model as it is. Others override what they need; parameters are trained with the model's."""

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
        """An aligner for one model.

        Args:
            dataset, side: as the model is given them.
            options: of its kind.
            start_dim, final_dim: length of the model's own embeddings, and of those after propagation.
            generator: draws the initial parameters, after those of the model.
        """
        return cls()

    def join(self, table: Embeddings) -> Embeddings:
        """What is propagated in the place of the model's own table, in training and evaluation alike.

        Its rows have the length that the options' `start_dim` says.

        Args:
            table: the model's; not to be changed in place.
        """
        return table

    def start(self, table: Embeddings, draw: Draws) -> Embeddings:
        """What is propagated in a training step in the place of what `join` gave.

        Args:
            table: what `join` gave; not to be changed in place.
            draw: for what is drawn anew in each step.
        """
        return table

    def terms(self, final: Embeddings, batch: Any, draw: Draws) -> dict[str, Tensor]:
        """Named scalar terms, already weighted, of a training step that began with `start`.

        Args:
            final: the embeddings after propagation.
            batch: of the model's kind.
            draw: as of `start`, which was called before.
        """
        return {}
