"""Two disturbed views of users and items beside the undisturbed one, and the contrast between them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recsys.aligners.base import Embeddings
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.models.parts.graph_recommender import Propagated
from recsys.objectives.info_nce import info_nce


@dataclass(frozen=True)
class Views(Propagated):
    """A pass of a training step.

    Attributes:
        first, second: the embeddings of all users and items in the two views.
    """

    first: Embeddings
    second: Embeddings


def contrast(views: Views, batch: Triplets, temperature: float, *, negatives: bool) -> Tensor:
    """The mean over the batch of InfoNCE of its users and of its items, each among all of them in the second view.

    Args:
        views: of a step.
        batch: whose rows count as often as they occur.
        temperature: positive.
        negatives: whether the batch's negative items take part beside the positive ones.
    """
    items = torch.cat([batch.positive, batch.negative]) if negatives else batch.positive
    users_sum = agreement(views.first.users, views.second.users, batch.user, temperature)
    return (users_sum + agreement(views.first.items, views.second.items, items, temperature)) / len(batch)


def agreement(first: Tensor, second: Tensor, ids: Tensor, temperature: float) -> Tensor:
    """The sum of InfoNCE over ids (int64 [b]) between two tables [n, d], all rows of the second being candidates.

    An id that occurs several times is computed once and counted.
    """
    nodes, counts = ids.unique(return_counts=True)
    return info_nce(lookup(first, nodes), lookup(second, nodes), second, temperature, weight=counts)
