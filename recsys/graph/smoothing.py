"""Sums of powers of the normalised user-item graph: what LightGCN and its relatives do to their embeddings.

The joint matrix has the blocks R and R^T off its diagonal, so only R and its transpose are stored, users and items are
kept apart, and nothing is concatenated. A sum of powers is one autograd node that stores no layer: by Horner's scheme
`h <- x + A h`, and its gradient is the same sum of powers of A^T.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recsys.graph.adjacency import symmetric
from recsys.graph.reach import Reach, rows_of_sum
from recsys.graph.sparse_operator import Operator, compiled_product, csr_tensor, worth_compiling

Pooling = Literal["mean", "sum"]


class Hops(Protocol):
    """One hop of a graph in both directions, not necessarily the same both ways."""

    def to_users(self, items: Tensor, plus: Tensor | None, scale: float) -> Tensor:
        """`scale * (plus + what arrives from items [n_items, d])`: [n_users, d], without a gradient."""
        ...

    def to_items(self, users: Tensor, plus: Tensor | None, scale: float) -> Tensor:
        """`scale * (plus + what arrives from users [n_users, d])`: [n_items, d], without a gradient."""
        ...

    @property
    def adjoint(self) -> Hops:
        """The transpose of both directions."""
        ...


@dataclass(frozen=True, eq=False)
class WholeHops:
    """Every edge, alike in both directions: R and R^T, which is its own adjoint."""

    hop: Operator

    def to_users(self, items: Tensor, plus: Tensor | None, scale: float) -> Tensor:
        """See `Hops`."""
        return self.hop.multiply(items, plus=plus, scale=scale)

    def to_items(self, users: Tensor, plus: Tensor | None, scale: float) -> Tensor:
        """See `Hops`."""
        return self.hop.multiply(users, plus=plus, scale=scale, transposed=True)

    @property
    def adjoint(self) -> WholeHops:
        """See `Hops`."""
        return self


@dataclass(frozen=True, eq=False)
class ThinnedHops:
    """What is left of the edges where each direction of an edge was kept or dropped for itself.

    Attributes:
        matrices: what users receive [n_users, n_items], what items receive [n_items, n_users], as CSR tensors.
        transposes: of these two.
    """

    matrices: tuple[Tensor, Tensor]
    transposes: tuple[Tensor, Tensor]

    def to_users(self, items: Tensor, plus: Tensor | None, scale: float) -> Tensor:
        """See `Hops`."""
        return _product(self.matrices[0], items, plus, scale)

    def to_items(self, users: Tensor, plus: Tensor | None, scale: float) -> Tensor:
        """See `Hops`."""
        return _product(self.matrices[1], users, plus, scale)

    @property
    def adjoint(self) -> ThinnedHops:
        """See `Hops`."""
        return ThinnedHops(self.transposes[::-1], self.matrices[::-1])


class SmoothingGraph(nn.Module):
    """`D^-1/2 A D^-1/2` on users and items kept apart, whole or with entries left out.

    Equal to `adjacency(...)` on the joint embeddings.

    Args:
        edges, n_users, n_items: as for `adjacency`.
    """

    _by_item: Tensor | None
    _by_user: Tensor | None

    def __init__(self, edges: np.ndarray, n_users: int, n_items: int) -> None:
        super().__init__()
        self.hop = Operator(*symmetric(edges, n_users, n_items))
        self.edges = len(self.hop.values)
        self.register_buffer("_by_item", None, persistent=False)
        self.register_buffer("_by_user", None, persistent=False)

    @property
    def whole(self) -> WholeHops:
        """With all its edges."""
        return WholeHops(self.hop)

    def thinned(self, kept: Tensor, scale: float = 1.0) -> ThinnedHops:
        """The graph of a training step with edge dropout, without new degrees.

        Args:
            kept: bool [2m], first what users send to items, sorted by (user, item), then what items send to users,
                sorted by (item, user): the joint matrix column by column.
            scale: of what is left; 1 over the rate of keeping leaves the mean as it was.
        """
        by_item, by_user = self._orders()
        hop, (users, items) = self.hop, self.hop.shape
        sent, received = (scale * kept).to(hop.values).split(self.edges)
        sent, received = sent * hop.values, received * hop.get_buffer("transposed_values")
        of_users = hop.row_pointers, hop.columns
        of_items = hop.get_buffer("transposed_row_pointers"), hop.get_buffer("transposed_columns")

        def csr(by_user_first: Tensor, by_item_first: Tensor) -> tuple[Tensor, Tensor]:
            """Values of entries in either order, as matrices [n_users, n_items] and [n_items, n_users]."""
            return csr_tensor([*of_users, by_user_first], (users, items)), csr_tensor(
                [*of_items, by_item_first], (items, users)
            )

        received_by, received_from = csr(received.index_select(0, by_user), received)
        sent_from, sent_by = csr(sent, sent.index_select(0, by_item))
        return ThinnedHops((received_by, sent_by), (received_from, sent_from))

    def _orders(self) -> tuple[Tensor, Tensor]:
        """Places of entries sorted by (item, user) among those sorted by (user, item), and the other way round."""
        if self._by_item is None or self._by_user is None:
            self._by_item = torch.argsort(self.hop.columns, stable=True)
            self._by_user = torch.argsort(self._by_item)
        return self._by_item, self._by_user

    def reach(self, table: Tensor, layers: int, users: Tensor, items: Tensor) -> Reach | None:
        """What `forward` needs to know to compute the rows of a batch alone, or None where it is better to compute all.

        Args:
            table: the embeddings of users or items.
            layers: as of `forward`.
            users, items: int64, which rows are wanted; in any order, several times or once.
        """
        if not layers or not self.hop.is_compiled(table):
            return None
        reach = Reach(self.hop, users, items)
        if not reach.worth:
            return None
        reach.extend(layers)
        return reach

    def forward(
        self,
        users: Tensor,
        items: Tensor,
        layers: int,
        *,
        pooling: Pooling = "mean",
        first: Literal[0, 1] = 0,
        hops: Hops | None = None,
        reach: Reach | None = None,
    ) -> tuple[Tensor, Tensor]:
        """`A^first x + .. + A^layers x`, or the mean of these, for x = (users [n_users, d], items [n_items, d]).

        Args:
            users, items: x.
            layers: at least `first`.
            pooling: mean or sum.
            first: whether x itself takes part (0) or not (1).
            hops: the graph's edges, `whole` unless given.
            reach: of some rows, from the method of this name; then the result is `reach.rows` of the users and items.
        """
        scale = 1.0 / (layers + 1 - first) if pooling == "mean" else 1.0
        users, items = self.hop.cast(users), self.hop.cast(items)
        if reach is not None:
            return rows_of_sum(users, items, self.hop, reach, layers, first, scale)
        return _SumOfPowers.apply(users, items, hops or self.whole, layers, first, scale)


def sum_of_powers(
    users: Tensor, items: Tensor, hops: Hops, layers: int, first: int, scale: float
) -> tuple[Tensor, Tensor]:
    """`scale * (A^first x + .. + A^layers x)`, without a gradient."""
    user_sum, item_sum = users, items
    steps = layers - first  # of x + A h; with `first` a last one without x
    for step in range(layers):
        last = scale if step == layers - 1 else 1.0
        plus_users, plus_items = (users, items) if step < steps else (None, None)
        user_sum, item_sum = hops.to_users(item_sum, plus_users, last), hops.to_items(user_sum, plus_items, last)
    return (user_sum, item_sum) if layers else (scale * users, scale * items)


class _SumOfPowers(torch.autograd.Function):
    """The transpose of a polynomial in A is that polynomial in A^T."""

    @staticmethod
    def forward(
        ctx: Any, users: Tensor, items: Tensor, hops: Hops, layers: int, first: int, scale: float
    ) -> tuple[Tensor, Tensor]:
        ctx.given = hops, layers, first, scale
        return sum_of_powers(users, items, hops, layers, first, scale)

    @staticmethod
    def backward(ctx: Any, users: Tensor, items: Tensor) -> tuple[Tensor | None, ...]:
        hops, layers, first, scale = ctx.given
        return *_SumOfPowers.apply(users, items, hops.adjoint, layers, first, scale), None, None, None, None


def _product(matrix: Tensor, x: Tensor, plus: Tensor | None, scale: float) -> Tensor:
    if worth_compiling(x, len(matrix.values())):
        from recsys.graph.row_sums import Part

        entries = (part.numpy() for part in (matrix.crow_indices(), matrix.col_indices(), matrix.values()))
        return compiled_product([Part(slice(None), *entries)], len(matrix), x, plus, scale)
    with torch.autocast(x.device.type, enabled=False):
        if plus is not None:
            return torch.addmm(plus, matrix, x, beta=scale, alpha=scale)
        return matrix @ x if scale == 1.0 else (matrix @ x).mul_(scale)
