"""What every recommender is: trained models give embeddings and loss terms, closed-form ones fit; both give scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from recsys.batches.triplets import Triplets

if TYPE_CHECKING:
    from recsys.data.dataset import Dataset


Objective = Callable[[Triplets], dict[str, Tensor]]


class Recommender(nn.Module, ABC):
    """Scores every item for given users. Persistent buffers and parameters are what model.safetensors keeps."""

    @abstractmethod
    def scores(self, users: Tensor) -> Tensor:
        """Raw ranking scores, float32 [b, n_items], for user ids int64 [b] on the model's device. Higher is better."""


class TrainedRecommender(Recommender):
    """A model of user and item embeddings, trained on triplets; the score is their inner product.

    `scores` outside of training mode computes the embeddings once and keeps them until a parameter may have changed
    (`train()`, `load_state_dict()`, `.to()`), so an evaluation over chunks of users propagates once.

    Attributes:
        embedding_dim: length of the embeddings that `with_side` is given; every model sets it.
        side: side features that join the final embeddings, or None.
    """

    embedding_dim: int

    def __init__(self) -> None:
        super().__init__()
        self.side: nn.Module | None = None
        self._embeddings: tuple[Tensor, Tensor] | None = None

    @abstractmethod
    def forward(self) -> tuple[Tensor, Tensor]:
        """The final embeddings of all users [n_users, d] and all items [n_items, d]."""

    @abstractmethod
    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Named scalar terms, already weighted: their sum is the training loss."""

    def objectives(self) -> tuple[Objective, ...]:
        """The losses of a batch, taken in turn; after each one the optimiser moves what got a gradient from it.

        One for most models. A second player's comes first, and neither gives the other's parameters a gradient; one
        without terms for a batch is passed over.
        """
        return (self.loss,)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the optimiser is given. A group may hold settings of its own, such as `lr`, beside its `params`."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def attach_side(self, side: nn.Module) -> None:
        """Adds side features to every later pass; `side()` gives what is added to users and to items."""
        self.side = side

    def with_side(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """The embeddings [n, embedding_dim] plus the attached side features: the end of every `forward`."""
        if self.side is None:
            return users, items
        added_users, added_items = self.side()
        return users + added_users, items + added_items

    @torch.no_grad()
    def scores(self, users: Tensor) -> Tensor:
        """See `Recommender`; float32 also when the model trains under autocast."""
        embeddings = self._embeddings or self()
        if not self.training:
            self._embeddings = embeddings
        user_embeddings, item_embeddings = embeddings
        return user_embeddings[users].float() @ item_embeddings.float().T

    def train(self, mode: bool = True) -> TrainedRecommender:
        """Sets training mode (see `nn.Module.train`) and forgets the kept embeddings."""
        self._embeddings = None
        return super().train(mode)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """See `nn.Module.load_state_dict`; forgets the kept embeddings."""
        self._embeddings = None
        return super().load_state_dict(state_dict, *args, **kwargs)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TrainedRecommender:
        self._embeddings = None
        return super()._apply(fn, recurse)


class ClosedFormRecommender(Recommender):
    """A model that is computed from the data in one go."""

    @abstractmethod
    def fit(self, dataset: Dataset) -> None:
        """Computes the model from `dataset.train`."""


def embedding_table(rows: int, dim: int, generator: torch.Generator) -> nn.Parameter:
    """Free embeddings [rows, dim], Xavier-uniform (Glorot & Bengio 2010), drawn from `generator`."""
    table = torch.empty(rows, dim)
    nn.init.xavier_uniform_(table, generator=generator)
    return nn.Parameter(table)
