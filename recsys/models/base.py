"""What every recommender is: it is fitted, trained ones in epochs and closed forms in one go, and then asked."""

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
"""Named terms of a batch."""
Newcomer = Literal["user", "item"]
"""Somebody or something that was not there when a model was trained."""


@dataclass(frozen=True)
class Fitted:
    """How a model was fitted; the defaults are those of one that is computed in one go.

    Attributes:
        best_epoch: the one that was kept.
        epochs: those that were trained.
        seconds: spent in them.
        history: what is kept of each, for metrics.json.
        details: further entries of metrics.json.
    """

    best_epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0
    history: Sequence[dict[str, Any]] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class Recommender(nn.Module, ABC):
    """Scores every item for users, or rates pairs of both.

    Persistent buffers and parameters are what model.safetensors keeps.
    """

    @property
    def inductive(self) -> frozenset[Newcomer]:
        """Whom it can score without another training: users by their interactions, items by their features.

        Such a model, built on data that the newcomers have joined, takes the state that was trained without them, and
        says of everybody else what it said before.
        """
        return frozenset()

    @abstractmethod
    def fit(self, job: FitJob) -> Fitted:
        """Brings the model to what is judged: its best epoch, its closed form, or its weights over members."""

    def scores(self, queries: Queries) -> Tensor:
        """Raw ranking scores of every item, float32 [b, n_items]; higher is better. Not of models that rate."""
        raise NotImplementedError(f"{type(self).__name__} ranks nothing")

    def scorer(self, split: Split) -> Callable[[Tensor], Tensor]:
        """The scores of users (int64 [b]) whose answer is judged on a split, as an evaluation asks for them."""
        return lambda users: self.scores(Queries(users, split))

    def embeddings(self, split: Split = "valid") -> tuple[Tensor, Tensor]:
        """Embeddings of all users [n_users, d] and items [n_items, d], float32, whose inner product is the score.

        A bias of an item is a further dimension, in which every user has 1. Users of a model of sequences are what it
        makes of their context in a query of `split`: at "valid" the training interactions alone.

        Raises:
            AugrecError: the model's scores are no inner product.
        """
        raise AugrecError(
            f"{type(self).__name__} has no embeddings of users and items",
            remedy="choose a model of embeddings, such as mf_bpr or lightgcn",
        )

    def rate(self, pairs: Tensor) -> Tensor:
        """Predicted ratings, float32 [b], of (user, item) pairs int64 [b, 2]. Not of models that rank."""
        raise NotImplementedError(f"{type(self).__name__} predicts no ratings")


class TrainedRecommender(Recommender):
    """A model that is trained in epochs, on batches of its own choice.

    Attributes:
        split: whether the model's tables are divided among the processes of a training. Each of them then computes the
            loss of whole batches; else each has the whole model and takes its share of a batch.
    """

    split = False

    def fit(self, job: FitJob) -> Fitted:
        """See `Recommender.fit`: as many epochs as validation allows, and back to the best one."""
        return job.optimise(self, job)

    def batches(self, job: FitJob) -> Batches:
        """What the model learns from: by default triplets, see `pairwise_batches`."""
        return pairwise_batches(job)

    def before_step(self, step: int) -> None:
        """Called before each batch of an epoch, which are counted from 0."""

    @abstractmethod
    def loss(self, batch: Any) -> dict[str, Tensor]:
        """Named scalar terms of one of the model's batches, already weighted: their sum is the training loss."""

    def objectives(self) -> tuple[Objective, ...]:
        """The losses of a batch, taken in turn; after each one the optimiser moves what got a gradient from it.

        One for most models. A second player's comes first, and neither gives the other's parameters a gradient; one
        without terms for a batch is passed over.
        """
        return (self.loss,)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the optimiser is given. A group may hold settings of its own, such as `lr`, beside its `params`."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]


class EmbeddingRecommender(TrainedRecommender):
    """A model of user and item embeddings, whose score is their inner product.

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
    def scores(self, queries: Queries) -> Tensor:
        """See `Recommender`; float32 also when the model trains under autocast."""
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
        """Sets training mode (see `nn.Module.train`) and forgets the kept embeddings."""
        self._embeddings = None
        return super().train(mode)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """See `nn.Module.load_state_dict`; forgets the kept embeddings."""
        self._embeddings = None
        return super().load_state_dict(state_dict, *args, **kwargs)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> EmbeddingRecommender:
        self._embeddings = None
        return super()._apply(fn, recurse)


class ClosedFormRecommender(Recommender):
    """A model that is computed from the data in one go."""

    def fit(self, job: FitJob) -> Fitted:
        """See `Recommender.fit`."""
        with job.explained("building the model"):
            self.compute(job.dataset)
        return Fitted()

    @abstractmethod
    def compute(self, dataset: Dataset) -> None:
        """Computes the model from `dataset.train`."""


def pairwise_batches(job: FitJob, device: torch.device | str | None = None) -> TripletBatches:
    """Observed triplets of the training interactions, and of `side.edges` those that the model's options let in.

    Args:
        job: of the training.
        device: where they are drawn; the training's unless given.
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
