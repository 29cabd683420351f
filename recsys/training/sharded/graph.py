"""Embedding tables and graph split by rows over processes, for what one GPU cannot hold.

Every process owns a range of users and a range of items: their rows of the tables, of the gradient, of Adam's moments,
and of the adjacency. One propagation step passes the blocks of embeddings round, one at a time,
    y_r = sum over owners p of A[r, p] x_p,
so that a process holds its own block and one foreign block. A is symmetric and so is the order of the passes: the
backward is the same operator on the gradient, with the same messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from augrec.artefacts.errors import UsageError
from recsys.graph.sparse_operator import Operator, csr_tensor
from recsys.training.distributed import Team


@dataclass(frozen=True)
class Ranges:
    """Consecutive ranges of rows, one per process, none empty.

    Attributes:
        bounds: int64 [size + 1]; process r owns bounds[r] : bounds[r + 1].
    """

    bounds: np.ndarray

    @classmethod
    def balanced(cls, degree: np.ndarray, size: int) -> Ranges:
        """Ranges of about equal load, a row's load being 1 + its degree / the mean degree.

        Half of it is rows (memory), half edges (work): no process has more than twice its share of either.

        Raises:
            UsageError: there are fewer rows than processes.
        """
        rows = len(degree)
        if rows < size:
            raise UsageError(
                f"{rows} rows cannot be split over {size} processes", remedy=f"set training.processes to at most {rows}"
            )
        load = np.cumsum(1 + degree / max(degree.mean(), 1e-12))
        cuts = np.searchsorted(load, load[-1] * np.arange(1, size) / size) + 1
        inner = [max(cut, place) for place, cut in enumerate(cuts, start=1)]
        inner = [min(cut, rows - size + place) for place, cut in enumerate(inner, start=1)]
        bounds = np.maximum.accumulate(np.array([0, *inner, rows], dtype=np.int64))
        for place in range(1, size):  # a heavy row may swallow several cuts
            bounds[place] = max(bounds[place], bounds[place - 1] + 1)
        return cls(np.minimum(bounds, rows - size + np.arange(size + 1)))

    def of(self, rank: int) -> tuple[int, int]:
        """First row of a process, and the row after its last."""
        return int(self.bounds[rank]), int(self.bounds[rank + 1])

    def count(self, rank: int) -> int:
        """How many rows a process owns."""
        begin, end = self.of(rank)
        return end - begin


@dataclass(frozen=True)
class Layout:
    """Who owns which users and items. A process's block is its users, then its items."""

    users: Ranges
    items: Ranges
    team: Team

    @classmethod
    def of(cls, edges: np.ndarray, n_users: int, n_items: int, team: Team) -> Layout:
        """Balanced by the training interactions `edges` (int64 [m, 2])."""
        users, items = np.bincount(edges[:, 0], minlength=n_users), np.bincount(edges[:, 1], minlength=n_items)
        return cls(Ranges.balanced(users, team.size), Ranges.balanced(items, team.size), team)

    def rows(self, rank: int) -> int:
        """Users and items of a process."""
        return self.users.count(rank) + self.items.count(rank)

    def fetch(self, block: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Rows of a table that is split like this, on every process; float [len(users) + len(items), d].

        All processes ask for the same rows and must use them alike: the gradient that each finds for a row is taken
        to be the whole one, and the owner keeps it.

        Args:
            block: [rows of this process, d].
            users, items: int64 ids of the whole catalogue.
        """
        rank = self.team.rank
        (first_user, end_user), (first_item, end_item) = self.users.of(rank), self.items.of(rank)
        own = torch.cat([(users >= first_user) & (users < end_user), (items >= first_item) & (items < end_item)])
        place = torch.cat([users - first_user, items - first_item + (end_user - first_user)])
        rows = nn.functional.embedding(place.where(own, 0), block)
        return _Sum.apply(rows.where(own[:, None], 0.0), self.team)


class _Sum(torch.autograd.Function):
    """The sum over processes. What follows is the same on each of them, so the gradient passes unchanged."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, team: Team) -> Tensor:
        return team.sum(x.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class ShardedAdjacency(nn.Module):
    """This process's rows of `D^-1/2 A D^-1/2` (see `recsys.graph.adjacency`), cut by the owner of the column.

    Args:
        edges: int64 [m, 2] of all training (user, item) pairs, unique.
        layout: who owns what.
    """

    def __init__(self, edges: np.ndarray, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        n_users, n_items = int(layout.users.bounds[-1]), int(layout.items.bounds[-1])
        users, items = np.asarray(edges, dtype=np.int64).reshape(-1, 2).T
        scale = [np.bincount(ids, minlength=size).clip(1) ** -0.5 for ids, size in ((users, n_users), (items, n_items))]
        rank = layout.team.rank
        (first_user, end_user), (first_item, end_item) = layout.users.of(rank), layout.items.of(rank)
        of_users = (users >= first_user) & (users < end_user)
        of_items = (items >= first_item) & (items < end_item)
        self.blocks = nn.ModuleList()
        for owner in range(layout.team.size):
            (their_user, last_user), (their_item, last_item) = layout.users.of(owner), layout.items.of(owner)
            down = np.flatnonzero(of_users & (items >= their_item) & (items < last_item))
            up = np.flatnonzero(of_items & (users >= their_user) & (users < last_user))
            row = [users[down] - first_user, items[up] - first_item + (end_user - first_user)]
            column = [items[down] - their_item + (last_user - their_user), users[up] - their_user]
            both = np.concatenate([down, up])
            value = scale[0][users[both]] * scale[1][items[both]]
            shape = layout.rows(rank), layout.rows(owner)
            entries = sp.coo_array((value, (np.concatenate(row), np.concatenate(column))), shape=shape)
            self.blocks.append(_Block(entries))

    def mean_of_powers(self, block: Tensor, layers: int) -> Tensor:
        """This process's rows of `(x + A x + ... + A^layers x) / (layers + 1)`; `block` is its rows of x."""
        return _MeanOfPowers.apply(block, self, layers)

    def add_product(self, added: Tensor, block: Tensor) -> Tensor:
        """This process's rows of `added + A x`, written into `added`; `block` is its rows of x."""
        team, layout = self.layout.team, self.layout
        for owner, columns in enumerate(self.blocks):
            theirs = block if owner == team.rank else block.new_empty(layout.rows(owner), block.shape[1])
            columns(added, team.share_out(theirs, owner))
        return added


class _Block(nn.Module):
    """A constant sparse matrix without a transpose: the whole is symmetric, so nobody asks for a part's."""

    def __init__(self, matrix: sp.sparray) -> None:
        super().__init__()
        rows = sp.csr_array(matrix)
        rows.sort_indices()
        self.shape = rows.shape
        index = Operator.index_type(rows.nnz, max(rows.shape))
        for name, part in (("pointers", rows.indptr), ("columns", rows.indices)):
            self.register_buffer(name, torch.from_numpy(part.astype(index)), persistent=False)
        self.register_buffer("values", torch.from_numpy(rows.data.astype(np.float32)), persistent=False)

    def forward(self, added: Tensor, x: Tensor) -> None:
        """Adds `A x` to `added`."""
        parts = [self.get_buffer(name) for name in ("pointers", "columns", "values")]
        added.addmm_(csr_tensor(parts, self.shape), x)


class _MeanOfPowers(torch.autograd.Function):
    """Horner's scheme `h <- x + A h`; with a symmetric A the backward is the same polynomial."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, adjacency: ShardedAdjacency, layers: int) -> Tensor:
        ctx.adjacency, ctx.layers = adjacency, layers
        with torch.autocast(x.device.type, enabled=False):
            x = x.float().contiguous()
            sum_of_powers = x
            for _ in range(layers):
                sum_of_powers = adjacency.add_product(x.clone(), sum_of_powers)
            return sum_of_powers.div_(layers + 1) if layers else x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _MeanOfPowers.apply(gradient, ctx.adjacency, ctx.layers), None, None
