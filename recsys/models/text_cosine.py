"""The cosine of a user's text and an item's: no training, no ids.

Papers: the row "semantic embeddings only" of RLMRec's table 1 (Ren et al., WWW 2024); the zero-shot ranking of EasyRec
(Ren and Huang, EMNLP 2025), whose encoder was trained so that this cosine is a preference.
Equation: score(u, i) is the mean of cos(s_u, t_i) over the vectors s_u of the user's profiles and the vectors t_i of
the item's texts. With `user: history`, s_u is the mean of the length-1 vectors of the user's training items.
Deviations: the paper says nothing of users or items without a text; here they have a cosine of 0 with everything.
Relations: `history` is what AlphaRec starts from, without its network and graph. The encoder is that of the run
(`embedding.model`): another one, such as EasyRec's weights, is another run.
Cost: n_users n_items d for all scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from augrec.artefacts.errors import DataError
from recsys.batches.base import Queries
from recsys.models.base import ClosedFormRecommender, Newcomer
from recsys.models.parts.item_item import incidence
from recsys.models.parts.modalities import modalities_of

if TYPE_CHECKING:
    from recsys.augmentation import FeatureMatrix, SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.text_cosine import TextCosineOptions


class TextCosine(ClosedFormRecommender):
    """See the module.

    Args:
        n_users: the number of users.
        items: the items' features.
        profiles: the users' features; empty where their histories stand for them.

    Attributes:
        users: float32 [n_users, d]; inner products with `items` are the scores.
        items: float32 [n_items, d].
    """

    users: Tensor
    items: Tensor

    def __init__(self, n_users: int, items: Sequence[FeatureMatrix], profiles: Sequence[FeatureMatrix] = ()) -> None:
        super().__init__()
        self.history = not profiles
        vectors = [_unit(matrix) for matrix in items]
        if self.history:
            rows, users = torch.cat(vectors, dim=1), torch.zeros(n_users, sum(matrix.dim for matrix in items))
        else:
            rows = torch.stack(vectors).mean(dim=0)
            users = torch.stack([_unit(matrix) for matrix in profiles]).mean(dim=0)
        self.widths = [matrix.dim for matrix in items]
        self.register_buffer("items", rows, persistent=False)
        self.register_buffer("users", users.float(), persistent=False)

    @classmethod
    def build(
        cls, dataset: Dataset, side: SideInformation, options: TextCosineOptions, generator: torch.Generator
    ) -> TextCosine:
        """See `recsys.models.build`.

        Raises:
            DataError: there are no item features, or no user features where these are read; or those of users and
                items differ in length, so that one encoder cannot have made them.
        """
        items = modalities_of(options.family, side, options)
        side.check(dataset.n_users, dataset.n_items)
        if options.user == "history":
            model = cls(dataset.n_users, list(items.values()))
            model.compute(dataset)  # nothing is learned, so that nothing is kept
            return model
        alike = _alike(side.user, items, options)
        return cls(dataset.n_users, alike, list(side.user.values()))

    @property
    def inductive(self) -> frozenset[Newcomer]:
        """See `Recommender.inductive`: items by their texts, users by those of their items where `history`."""
        return frozenset({"user", "item"} if self.history else {"item"})

    @torch.no_grad()
    def compute(self, dataset: Dataset) -> None:
        """See `ClosedFormRecommender.compute`; there is something to do for histories alone."""
        if not self.history:
            return
        owned = incidence(dataset)
        means = [owned @ part.double().cpu().numpy() for part in self.items.split(self.widths, dim=1)]
        unit = [F.normalize(torch.from_numpy(mean), dim=1) / len(means) for mean in means]
        self.users.copy_(torch.cat(unit, dim=1))

    def scores(self, queries: Queries) -> Tensor:
        """See `Recommender.scores`. A user without a text, or without training items that have one, gets zeros."""
        return self.users[queries.users] @ self.items.T


def _alike(
    users: Mapping[str, FeatureMatrix], items: Mapping[str, FeatureMatrix], options: TextCosineOptions
) -> list[FeatureMatrix]:
    """The items' features that can be compared with the users'."""
    if not users:
        raise DataError(
            "the model 'text_cosine' compares items with the profiles of users, and the data have none",
            where="user features",
            remedy="generate and embed a task about users, or set `user: history`",
        )
    widths = {name: matrix.dim for name, matrix in users.items()}
    if len(set(widths.values())) > 1:
        raise DataError(
            "the vectors of the users' profiles differ in length: "
            + ", ".join(f"{name} {width}" for name, width in widths.items()),
            where="user features",
            remedy="embed all of them by one model",
        )
    (width,) = set(widths.values())
    alike = [matrix for matrix in items.values() if matrix.dim == width]
    if not alike or (options.modalities is not None and len(alike) < len(items)):
        raise DataError(
            f"the model 'text_cosine' compares user vectors of length {width} with item vectors of length "
            + ", ".join(f"{matrix.dim} ({name})" for name, matrix in items.items()),
            where="modalities of 'text_cosine'",
            remedy="embed both by one model, or name those of this length in `modalities`",
        )
    return alike


def _unit(matrix: FeatureMatrix) -> Tensor:
    """float32 [n, d]: each vector at length 1; zeros where there is none."""
    return F.normalize(torch.from_numpy(np.ascontiguousarray(matrix.dense())), dim=1)
