"""LightGCN, and MF-BPR as its zero layers, with every table split over processes (see `recsys.training.sharded.graph`).

The loss is computed by every process, whole: the rows of a batch travel (some hundred KiB), and what is computed on
them is nothing beside a propagation. It equals the loss of `recsys.models.lightgcn`, and so do its gradients.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from augrec.artefacts.errors import UsageError
from recsys.batches.base import Batches, Queries
from recsys.batches.triplets import Triplets
from recsys.data.dataset import Dataset
from recsys.models.base import EmbeddingRecommender, pairwise_batches
from recsys.models.options.base import FamilyOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.options.mf_bpr import MfBprOptions
from recsys.objectives.bpr import batch_l2, bpr
from recsys.training.distributed import Team
from recsys.training.sharded.graph import Layout, Ranges, ShardedAdjacency

if TYPE_CHECKING:
    from recsys.training.job import FitJob

ROWS_PER_DRAW = 2**16


def check_shardable(options: FamilyOptions, processes: int) -> None:
    """Raises `UsageError` where a model of these options cannot be split over processes, or there is only one."""
    if not isinstance(options, LightGcnOptions | MfBprOptions):
        raise UsageError(
            f"family {options.family} cannot be split over processes",
            where="training.shard",
            remedy="lightgcn and mf_bpr can; with training.shard=false each process holds the whole model",
        )
    if options.side.active:
        raise UsageError(
            "side features cannot be split over processes",
            where="training.shard",
            remedy="set the model's side scales to 0, or training.shard=false",
        )
    if isinstance(options, LightGcnOptions) and options.aligner.kind != "none":
        raise UsageError(
            "an aligner cannot be split over processes",
            where="training.shard",
            remedy="set the model's aligner to {kind: none}, or training.shard=false",
        )
    if isinstance(options, LightGcnOptions):
        whole = {"pooling": "mean", "edge_keep": 1.0}
        other = next((name for name, value in whole.items() if getattr(options, name) != value), None)
        other = "l2_kind" if options.l2_kind == "all" else other
        if other:
            raise UsageError(
                f"{other}: {getattr(options, other)} cannot be split over processes",
                where="training.shard",
                remedy=f"leave {other} at its default, or set training.shard=false",
            )
    if processes < 2:
        raise UsageError(
            "one process has nobody to share with",
            where="training.shard",
            remedy="set training.processes to the number of GPUs, or training.shard=false",
        )


class ShardedLightGCN(EmbeddingRecommender):
    """One process's part of the model; its parameters are the rows it owns.

    Args:
        dataset: its training interactions are the graph.
        options: of LightGCN or MF-BPR.
        generator: draws the same initial embeddings as for the whole model, users first.
        team: the processes.
    """

    split = True

    def __init__(
        self, dataset: Dataset, options: LightGcnOptions | MfBprOptions, generator: torch.Generator, team: Team
    ) -> None:
        super().__init__()
        self.options, self.embedding_dim = options, options.dim
        self.layers = options.layers if isinstance(options, LightGcnOptions) else 0
        self.layout = Layout.of(dataset.train, dataset.n_users, dataset.n_items, team)
        self.user_embedding = rows_of_table(self.layout.users, team.rank, options.dim, generator)
        self.item_embedding = rows_of_table(self.layout.items, team.rank, options.dim, generator)
        self.adjacency = ShardedAdjacency(dataset.train, self.layout) if self.layers else None

    def _blocks(self) -> tuple[Tensor, Tensor]:
        """This process's rows before and after propagation."""
        first = torch.cat([self.user_embedding, self.item_embedding])
        return first, first if self.adjacency is None else self.adjacency.mean_of_powers(first, self.layers)

    def forward(self) -> tuple[Tensor, Tensor]:
        """The final embeddings of this process's users and items."""
        users, items = self._blocks()[1].split([len(self.user_embedding), len(self.item_embedding)])
        return users, items

    def loss(self, batch: Triplets) -> dict[str, Tensor]:
        """Terms `bpr` and `l2` of the whole batch, the same on every process."""
        first, last = self._blocks()
        items = torch.cat([batch.positive, batch.negative])
        rows = self.layout.fetch(last, batch.user, items)
        before = rows if self.adjacency is None else self.layout.fetch(first, batch.user, items)
        size = len(batch)
        places = torch.arange(size, device=items.device)
        fetched = Triplets(places, places, places + size, batch.weight, batch.observed)
        assert self.options.l2_kind != "all"  # see `check_shardable`
        *_, penalty = batch_l2(before[:size], before[size:], fetched, self.options.l2_kind)
        user, positive, negative = rows.split(size)
        return {"bpr": bpr(user, positive, negative, batch.weight), "l2": self.options.l2 * penalty}

    def batches(self, job: FitJob) -> Batches:
        """The batches of any pairwise model, drawn on the CPU: what is split leaves a GPU no room for everybody's."""
        return pairwise_batches(job, "cpu")

    def scores(self, queries: Queries) -> Tensor:
        """Not to be had: no process has all items. See `recsys.training.sharded.evaluation`."""
        raise NotImplementedError("a model that is split over processes is evaluated block by block")


def rows_of_table(ranges: Ranges, rank: int, dim: int, generator: torch.Generator) -> nn.Parameter:
    """A process's rows of `recsys.models.base.embedding_table(rows, dim, generator)`, without ever holding the rest."""
    begin, end = ranges.of(rank)
    kept = torch.empty(end - begin, dim)
    rows = int(ranges.bounds[-1])
    bound = math.sqrt(6 / (rows + dim))  # Glorot & Bengio 2010
    for first, last in _draws(rows):
        drawn = torch.empty(last - first, dim).uniform_(-bound, bound, generator=generator)
        low, high = max(first, begin), min(last, end)
        if low < high:
            kept[low - begin : high - begin] = drawn[low - first : high - first]
    return nn.Parameter(kept)


def _draws(rows: int) -> Iterator[tuple[int, int]]:
    for first in range(0, rows, ROWS_PER_DRAW):
        yield first, min(first + ROWS_PER_DRAW, rows)
