"""Some rows of a sum of powers of the user-item graph, without the rows that they do not depend on.

A training step reads the embeddings of its batch. So the outermost product of a sum of powers is wanted at the batch's
rows alone, the one before at these and their neighbours, and so on, until nearly everybody is a neighbour. The gradient
goes the same way back: only the batch's rows are terms of its first product, only these and their neighbours of its
second. What is computed has the bits that it has when everything is. How much is left out depends on the batch and the
graph (docs/performance.md, "How cost grows").
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recsys.graph.sparse_operator import Operator

MOST = 0.5  # of both directions' entries, in the batch's rows: with more, there is too little to leave out
FEW = 0.2  # of the same: with more, nearly everybody is a neighbour
WORTH = 0.75  # of one direction's entries: with more, to leave out the others costs what it saves


class Rows(NamedTuple):
    """Some rows of a table of n.

    Attributes:
        ids: int64 [m], ascending.
        mask: bool [n].
        share: of the graph's entries, those of these rows.
    """

    ids: np.ndarray
    mask: np.ndarray
    share: float

    @property
    def wanted(self) -> np.ndarray | None:
        """The ids of the rows to compute, None for all."""
        return self.ids if self.share <= WORTH else None

    @property
    def held(self) -> np.ndarray | None:
        """The mask of the rows to read, None for all."""
        return self.mask if self.share <= WORTH else None


class Level(NamedTuple):
    """Users and items that a sum depends on, so many products before its end."""

    users: Rows
    items: Rows

    @property
    def share(self) -> float:
        """Of both directions' entries."""
        return (self.users.share + self.items.share) / 2


_ALL = Rows(np.empty(0, np.int64), np.empty(0, np.bool_), np.inf)  # a share that is never worth it: not listed
EVERYBODY = Level(_ALL, _ALL)


class Reach:
    """How far some rows of a sum of powers reach into the graph.

    Args:
        hop: users <- items, on the CPU.
        users, items: the rows of the sum: int64, in any order, several times or once.

    Attributes:
        levels: the rows of the sum; after `extend` also these with their neighbours, and so on.
    """

    def __init__(self, hop: Operator, users: Tensor, items: Tensor) -> None:
        self._hop = hop
        self.levels = [self._level(_mask(users, hop.shape[0]), _mask(items, hop.shape[1]))]

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """The users and the items of the sum: int64, ascending, each once."""
        users, items = self.levels[0]
        return torch.from_numpy(users.ids), torch.from_numpy(items.ids)

    @property
    def worth(self) -> bool:
        """Whether these rows cost less alone."""
        return self.levels[0].share <= MOST

    def extend(self, layers: int) -> None:
        """Adds levels while the last is small, until there is one for each layer."""
        while len(self.levels) < layers and self.levels[-1].share <= FEW:
            users, items = self.levels[-1]
            of_items, of_users = self._hop.neighbours(items.ids, transposed=True), self._hop.neighbours(users.ids)
            self.levels.append(self._level(users.mask | of_items, items.mask | of_users))

    def _level(self, users: np.ndarray, items: np.ndarray) -> Level:
        return Level(self._rows(users, transposed=False), self._rows(items, transposed=True))

    def _rows(self, mask: np.ndarray, *, transposed: bool) -> Rows:
        ids = np.flatnonzero(mask)
        entries = self._hop.entries_of(ids, transposed=transposed)
        return Rows(ids, mask, entries / max(1, len(self._hop.values)))

    def level(self, number: int) -> Level:
        """So many products before the end of the sum, or from the start of its gradient; everybody past the last."""
        return self.levels[number] if number < len(self.levels) else EVERYBODY


def rows_of_sum(
    users: Tensor, items: Tensor, hop: Operator, reach: Reach, layers: int, first: int, scale: float
) -> tuple[Tensor, Tensor]:
    """`scale * (A^first x + .. + A^layers x)` at `reach.rows`: [m_users, d] and [m_items, d].

    Args:
        users, items: x, [n_users, d] and [n_items, d].
        hop: users <- items; A has it and its transpose. Its products with x are compiled (`Operator.is_compiled`).
        reach: of the rows, extended to some of the layers or none.
        layers, first, scale: of the sum; there is a layer at least.
    """
    return _RowsOfSum.apply(users, items, hop, reach, layers, first, scale)


class _RowsOfSum(torch.autograd.Function):
    """Horner's scheme, as in `smoothing.sum_of_powers`."""

    @staticmethod
    def forward(
        ctx: Any, users: Tensor, items: Tensor, hop: Operator, reach: Reach, layers: int, first: int, scale: float
    ) -> tuple[Tensor, Tensor]:
        ctx.given = hop, reach, layers, first, scale
        user_sum, item_sum = users, items
        for step in range(layers):
            factor = scale if step == layers - 1 else 1.0
            plus = (users, items) if step < layers - first else (None, None)
            wanted = reach.level(layers - 1 - step)
            user_sum, item_sum = (
                hop.multiply_some(item_sum, plus=plus[0], scale=factor, rows=wanted.users.wanted),
                hop.multiply_some(user_sum, plus=plus[1], scale=factor, rows=wanted.items.wanted, transposed=True),
            )
        user_rows, item_rows = reach.rows
        return user_sum[user_rows], item_sum[item_rows]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, user_slopes: Tensor, item_slopes: Tensor) -> tuple[Tensor | None, ...]:
        hop, reach, layers, first, scale = ctx.given
        users, items = reach.levels[0]
        starts = _table(users, user_slopes), _table(items, item_slopes)
        user_sum, item_sum = starts
        for step in range(layers):
            factor = scale if step == layers - 1 else 1.0
            plus = starts if step < layers - first else (None, None)
            terms = reach.level(step)
            user_sum, item_sum = (
                hop.multiply_some(item_sum, plus=plus[0], scale=factor, held=terms.items.held, given=users.mask),
                hop.multiply_some(
                    user_sum, plus=plus[1], scale=factor, held=terms.users.held, given=items.mask, transposed=True
                ),
            )
        return user_sum, item_sum, None, None, None, None, None


def _table(rows: Rows, values: Tensor) -> Tensor:
    """A table with the values at these rows; the others hold 0, or anything where they are not read."""
    make = values.new_zeros if rows.held is None else values.new_empty
    table = make(len(rows.mask), values.shape[1])
    table[torch.from_numpy(rows.ids)] = values
    return table


def _mask(ids: Tensor, size: int) -> np.ndarray:
    mask = np.zeros(size, np.bool_)
    mask[ids.numpy()] = True
    return mask
