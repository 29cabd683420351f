"""The base classes of recommenders: what a model provides to be fitted and evaluated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from augrec.artefacts.errors import AugrecError
from recsys.batches.base import Batches, Queries, Split
from recsys.batches.edge_pool import EdgePool
from recsys.batches.triplets import BprSampler, EdgeMixer, Suggestions, TripletBatches
from recsys.models.options.base import EdgeAugmentation

if TYPE_CHECKING:
    from recsys.data.dataset import Dataset
    from recsys.training.job import FitJob


Objective = Callable[[Any], dict[str, Tensor]]
"""Computes the named loss terms of a batch."""
Newcomer = Literal["user", "item"]
"""A user or an item that was not in the data when the model was trained."""


@dataclass(frozen=True)
class Fitted:
    """The result of fitting a model. The defaults are those of a closed form, which has no epochs.

    Attributes:
        best_epoch: the epoch whose parameters were kept.
        epochs: how many were trained.
        seconds: the time they took.
        history: one entry per epoch, for metrics.json.
        details: further entries of metrics.json.
    """

    best_epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0
    history: Sequence[dict[str, Any]] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class Recommender(nn.Module, ABC):
    """Scores every item for a user, or predicts the ratings of (user, item) pairs.

    model.safetensors holds its parameters and persistent buffers.
    """

    @property
    def inductive(self) -> frozenset[Newcomer]:
        """Which newcomers it can score without training again: users by their interactions, items by their features.

        Such a model is built on data that include the newcomers and loads the state that was trained without them. The
        scores of all other users and items stay the same.
        """
        return frozenset()

    @abstractmethod
    def fit(self, job: FitJob) -> Fitted:
        """Fits the model: trains it and restores the best epoch, computes its closed form, or weighs its members."""

    def scores(self, queries: Queries) -> Tensor:
        """Ranking scores of all items, float32 [b, n_items]; higher is better. Not for models that predict ratings."""
        raise NotImplementedError(f"{type(self).__name__} ranks nothing")

    def scorer(self, split: Split) -> Callable[[Tensor], Tensor]:
        """A function from users, int64 [b], to their scores, with the context that an evaluation on `split` allows."""
        return lambda users: self.scores(Queries(users, split))

    def embeddings(self, split: Split = "valid") -> tuple[Tensor, Tensor]:
        """Embeddings of all users [n_users, d] and items [n_items, d], float32, whose inner product is the score.

        An item's bias is an extra dimension, in which every user has the value 1. A sequence model computes a user's
        embedding from the context that `split` allows: at "valid" the training interactions alone.

        Raises:
            AugrecError: the model's score is not an inner product.
        """
        raise AugrecError(
            f"{type(self).__name__} has no embeddings of users and items",
            remedy="choose a model of embeddings, such as mf_bpr or lightgcn",
        )

    def rate(self, pairs: Tensor) -> Tensor:
        """Predicted ratings, float32 [b], of (user, item) pairs, int64 [b, 2]. Not for models that rank."""
        raise NotImplementedError(f"{type(self).__name__} predicts no ratings")


class TrainedRecommender(Recommender):
    """A model that is trained in epochs, on its own kind of batches.

    Attributes:
        split: whether a distributed training divides the model's tables among its processes. If so, every process
            computes the loss of whole batches; otherwise each holds the whole model and takes its share of a batch.
    """

    split = False

    def fit(self, job: FitJob) -> Fitted:
        """See `Recommender.fit`: trains until validation stops improving, then restores the best epoch."""
        return job.optimise(self, job)

    def batches(self, job: FitJob) -> Batches:
        """The batches of a training; by default triplets, see `pairwise_batches`."""
        return pairwise_batches(job)

    def before_step(self, step: int) -> None:
        """Called before each batch; `step` counts the batches of an epoch from 0."""

    @abstractmethod
    def loss(self, batch: Any) -> dict[str, Tensor]:
        """Named scalar loss terms of a batch, already weighted: their sum is the training loss."""

    def objectives(self) -> tuple[Objective, ...]:
        """The losses that are minimised one after the other on each batch; most models have one.

        After each loss the optimiser updates the parameters that received a gradient from it. An adversarial model
        lists the loss of its discriminator first; neither loss may give the other player's parameters a gradient. A
        loss that returns no terms for a batch is skipped.
        """
        return (self.loss,)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The optimiser's parameter groups. A group may hold settings such as `lr` beside its `params`."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]


class EmbeddingRecommender(TrainedRecommender):
    """A model of user and item embeddings, whose score is their inner product.

    `scores` outside of training mode computes the embeddings once and keeps them until a parameter may have changed
    (`train()`, `load_state_dict()`, `.to()`), so an evaluation over chunks of users propagates once.

    Attributes:
        embedding_dim: the length of the embeddings that `with_side` receives; every model sets it.
        side: side features that are added to the final embeddings, or None.
    """

    embedding_dim: int

    def __init__(self) -> None:
        super().__init__()
        self.side: nn.Module | None = None
        self._embeddings: tuple[Tensor, Tensor] | None = None

    @abstractmethod
    def forward(self) -> tuple[Tensor, Tensor]:
        """The final embeddings of all users [n_users, d] and all items [n_items, d]."""

    def attach_side(self, side: nn.Module) -> None:
        """Adds side features to every forward pass from now on; `side()` returns those of users and of items."""
        self.side = side

    def with_side(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """The embeddings, [n, embedding_dim], plus the attached side features. Every `forward` ends with it."""
        if self.side is None:
            return users, items
        added_users, added_items = self.side()
        return users + added_users, items + added_items

    @torch.no_grad()
    def scores(self, queries: Queries) -> Tensor:
        """See `Recommender.scores`; float32 even if the model was trained under autocast."""
        user_embeddings, item_embeddings = self._kept_embeddings()
        return user_embeddings[queries.users].float() @ item_embeddings.float().T

    @torch.no_grad()
    def embeddings(self, split: Split = "valid") -> tuple[Tensor, Tensor]:
        """See `Recommender.embeddings`: the final embeddings, the same for every split."""
        user_embeddings, item_embeddings = self._kept_embeddings()
        return user_embeddings.detach().float(), item_embeddings.detach().float()

    def _kept_embeddings(self) -> tuple[Tensor, Tensor]:
        embeddings = self._embeddings or self()
        if not self.training:
            self._embeddings = embeddings
        return embeddings

    def train(self, mode: bool = True) -> EmbeddingRecommender:
        """Sets the training mode (see `nn.Module.train`) and drops the cached embeddings."""
        self._embeddings = None
        return super().train(mode)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """See `nn.Module.load_state_dict`; drops the cached embeddings."""
        self._embeddings = None
        return super().load_state_dict(state_dict, *args, **kwargs)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> EmbeddingRecommender:
        self._embeddings = None
        return super()._apply(fn, recurse)


class ClosedFormRecommender(Recommender):
    """A model with a closed-form solution, computed from the data in one go."""

    def fit(self, job: FitJob) -> Fitted:
        """See `Recommender.fit`."""
        with job.explained("building the model"):
            self.compute(job.dataset)
        return Fitted()

    @abstractmethod
    def compute(self, dataset: Dataset) -> None:
        """Computes the model from `dataset.train`."""


def pairwise_batches(job: FitJob, device: torch.device | str | None = None) -> TripletBatches:
    """Triplets sampled from the training interactions, with those of `side.edges` that the model's options allow.

    Args:
        job: the training.
        device: where they are sampled; by default the training's device.
    """
    data, edges = job.dataset, job.side.edges
    sampler = BprSampler(
        data.train,
        data.n_users,
        data.n_items,
        batch_size=job.training.batch_size,
        generator=job.generator("sampler", device),
        mode=job.training.sampler,
    )
    options = job.model if isinstance(job.model, EdgeAugmentation) else EdgeAugmentation()
    mixer: Suggestions | None = None
    if edges is not None and len(edges) and (options.aug_pool or options.aug_sample_rate):
        generator, rate = job.generator("edges", device), options.aug_sample_rate
        if options.aug_pool:
            mixer = EdgePool(edges, data.n_users, data.n_items, generator=generator)
        else:
            mixer = EdgeMixer(edges, data.n_users, data.n_items, rate=rate, generator=generator)
    return TripletBatches(sampler, mixer)


def embedding_table(rows: int, dim: int, generator: torch.Generator) -> nn.Parameter:
    """Free embeddings [rows, dim], Xavier-uniform (Glorot & Bengio 2010), drawn from `generator`."""
    table = torch.empty(rows, dim)
    nn.init.xavier_uniform_(table, generator=generator)
    return nn.Parameter(table)
