"""Item-item models: score(u, .) = X_u W, where W says how much each item a user has speaks for each other item."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.memory import physical_memory, size_in_words
from recsys.batches.base import Queries
from recsys.data.dataset import Dataset
from recsys.models.base import ClosedFormRecommender, Newcomer
from recsys.models.parts.histories import Histories
from recsys.models.parts.largest_entries import largest

BLOCK = 2**22  # entries of a dense W that may be in memory in float64 at a time
FEWEST = 2**16  # products that are summed into a block of a sparse W at least; else as many as there are interactions
KEPT = 2**24  # bytes; nothing is written there

Rows = Callable[[slice], sp.csr_array]


class ItemItem(ClosedFormRecommender):
    """W as a dense matrix, or as the largest entries of each row.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        neighbours: entries kept per row of W; None keeps all.
        bytes_per_pair: memory at the peak of `compute` with a dense W, per pair of items.

    Attributes:
        weights: float32 [n_items, n_items], W; only without `neighbours`.
        columns, values: int32 and float32 [n_items, neighbours], the kept entries of each row; unused places hold 0.

    Raises:
        AugrecError: W does not fit into this machine's memory.
    """

    weights: Tensor
    columns: Tensor
    values: Tensor

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, *, neighbours: int | None = None, bytes_per_pair: int = 4
    ) -> None:
        super().__init__()
        self.n_items = n_items
        self.neighbours = None if neighbours is None else min(neighbours, n_items)
        self.histories = Histories(edges, n_users, n_items)
        if self.neighbours is None:
            self.require(bytes_per_pair * n_items**2)
            self.register_buffer("weights", torch.zeros(n_items, n_items))
        else:
            self.require(8 * n_items * self.neighbours)
            self.register_buffer("columns", torch.zeros(n_items, self.neighbours, dtype=torch.int32))
            self.register_buffer("values", torch.zeros(n_items, self.neighbours))

    @property
    def inductive(self) -> frozenset[Newcomer]:
        """See `Recommender.inductive`: users, by X_u."""
        return frozenset({"user"})

    def require(self, size: int) -> None:
        """Raises an AugrecError where this machine has less memory than `size` bytes."""
        there = physical_memory()
        if there is not None and size > there:
            name = type(self).__name__
            raise AugrecError(
                f"{name} needs {size_in_words(size)} for {self.n_items} items and this machine has "
                f"{size_in_words(there)}",
                remedy="raise dataset.k_core, set `neighbours` where the model has it, or leave the model out",
            )

    def scores(self, queries: Queries) -> Tensor:
        """See `Recommender.scores`. A user without training items gets zeros."""
        if self.neighbours is None:
            return self.histories.times(queries.users, self.weights)
        return self.histories.times_sparse(queries.users, self.columns, self.values)


class Similarity(ItemItem):
    """W from co-occurrences, computed in blocks of rows. Its diagonal is 0: an item does not recommend itself."""

    @abstractmethod
    def rows(self, x: sp.csr_array) -> Rows:
        """What gives a block of rows of W for X [n_users, n_items] of ones; the diagonal does not matter.

        With `neighbours`, what is not among the largest of a row may be left out, and what is may stand in any order.
        """

    def compute(self, dataset: Dataset) -> None:
        """See `ClosedFormRecommender.compute`. Of equal entries in a row, those of lower item ids are kept."""
        x = incidence(dataset)
        parts = list(self._parts(x))
        rows = self.rows(x)
        del x  # what the rows are made of is at hand
        np.empty(KEPT, dtype=np.int8)  # glibc keeps blocks of a size it saw freed: a third of the time was page faults
        for part in parts:
            if self.neighbours is None:
                dense = rows(part).toarray().astype(np.float32)
                np.fill_diagonal(dense[:, part.start :], 0.0)
                self.weights[part] = torch.from_numpy(dense).to(self.weights)
            else:
                columns, values = largest(rows(part), self.neighbours, part.start)
                self.columns[part] = torch.from_numpy(columns).to(self.columns)
                self.values[part] = torch.from_numpy(values).to(self.values)

    def _parts(self, x: sp.csr_array) -> Iterator[slice]:
        """The rows of W in blocks of about equal cost: of popular items there are fewer in one."""
        if self.neighbours is None:
            costs, most = np.full(self.n_items, self.n_items), BLOCK
        else:
            costs = (x.T @ np.diff(x.indptr)).astype(np.int64) + self.neighbours
            most = max(FEWEST, x.nnz)
        ends = np.cumsum(costs)
        start = 0
        while start < self.n_items:
            before = ends[start - 1] if start else 0
            end = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
            yield slice(start, end)
            start = end


def incidence(dataset: Dataset) -> sp.csr_array:
    """X, float64 [n_users, n_items]: 1 for each training interaction."""
    users, items = dataset.train.T.astype(np.int32)  # half the bytes that a product of matrices reads
    return sp.coo_array((np.ones(len(users)), (users, items)), shape=(dataset.n_users, dataset.n_items)).tocsr()
