"""Models with two disturbed views of users and items beside the undisturbed one, and the contrast between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recsys.aligners.base import Embeddings
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.models.parts.graph_recommender import Propagated
from recsys.models.parts.pairwise_graph import PairwiseGraphModel
from recsys.objectives.info_nce import info_nce

if TYPE_CHECKING:
    from recsys.models.options.sgl import SglOptions
    from recsys.models.options.simgcl import SimGclOptions
    from recsys.models.options.tagcf import TagcfOptions


@dataclass(frozen=True)
class Views(Propagated):
    """A pass of a training step.

    Attributes:
        first, second: the embeddings of all users and items in the two views.
    """

    first: Embeddings
    second: Embeddings


class ContrastedModel(PairwiseGraphModel):
    """A model whose passes in training may be `Views`, between which a contrast joins the loss.

    Attributes:
        options: with the weight of the contrast, `contrast`, and its `contrast_temperature`.
        contrast_negatives: whether a batch's negative items take part in it.
    """

    options: SglOptions | SimGclOptions | TagcfOptions
    contrast_negatives = False

    def terms(self, passed: Propagated, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr`, `l2` and, of a pass with views, `contrast`; see `GraphRecommender.terms`."""
        terms = super().terms(passed, batch)
        if isinstance(passed, Views):
            between = contrast(passed, batch, self.options.contrast_temperature, negatives=self.contrast_negatives)
            terms["contrast"] = self.options.contrast * between
        return terms


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
