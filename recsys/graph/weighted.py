"""Sparse products whose entries are learned: a fixed pattern of edges, and one value per edge that carries a gradient.

With a matrix W of pattern P and values w, `W x` has the gradients `W^T g` for x and `g_row . x_column` for each value:
a product by the transpose, and inner products at the places of P. The gradients of inner products at P are products
by W and W^T again. So the two operations below are each other's backward, at any order, and neither materialises a
vector per edge. All sums have a fixed order, so gradients are the same in every run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from recsys.gather import lookup
from recsys.graph.sparse_operator import csr_tensor


class Pattern(nn.Module):
    """The places of a sparse matrix [rows, columns]; its values come with each call, in the order of `row`, `column`.

    Its buffers follow `.to(device)` but are no part of `state_dict`: they are rebuilt from the data.

    Args:
        edges: int64 [m, 2] of (row, column), in any order; they are kept sorted, on their device. A place that occurs
            twice has two values, which are added.
        rows, columns: the shape.
    """

    row: Tensor
    column: Tensor
    by_column: Tensor

    def __init__(self, edges: np.ndarray | Tensor, rows: int, columns: int) -> None:
        super().__init__()
        self.shape = (rows, columns)
        row, column = torch.as_tensor(edges).to(torch.int64).reshape(-1, 2).unbind(1)
        order = (row * columns + column).argsort(stable=True)
        row, column = row[order], column[order]
        self._store(row, column, column.argsort(stable=True))

    def _store(self, row: Tensor, column: Tensor, by_column: Tensor) -> None:
        """Keeps places that are sorted by row, and the order that sorts them by column."""
        index = torch.int32 if max(len(row), *self.shape) <= torch.iinfo(torch.int32).max else torch.int64
        transposed = column[by_column], row[by_column]
        for prefix, size, ends, others in (
            ("", self.shape[0], row, column),
            ("transposed_", self.shape[1], *transposed),
        ):
            pointers = torch.searchsorted(ends.contiguous(), torch.arange(size + 1, device=row.device))
            self.register_buffer(prefix + "pointers", pointers.to(index), persistent=False)
            self.register_buffer(prefix + "columns", others.to(index), persistent=False)
        for name, part in (("row", row), ("column", column), ("by_column", by_column)):
            self.register_buffer(name, part.contiguous(), persistent=False)

    def kept(self, keep: Tensor) -> Pattern:
        """The pattern with only the places where `keep` (bool [m]) is true, in the same order; nothing is sorted."""
        part = Pattern.__new__(Pattern)
        nn.Module.__init__(part)
        part.shape = self.shape
        moved = keep.cumsum(0) - 1
        part._store(self.row[keep], self.column[keep], moved[self.by_column[keep[self.by_column]]])
        return part

    @classmethod
    def of(cls, matrix: sp.sparray) -> tuple[Pattern, np.ndarray]:
        """The pattern of a matrix without duplicates, and its values float32 [m] in the pattern's order."""
        entries = sp.csr_array(matrix)
        entries.sort_indices()
        places = entries.tocoo()
        return cls(np.stack(places.coords, axis=1), *entries.shape), entries.data.astype(np.float32)

    def __len__(self) -> int:
        """The number of edges, m."""
        return len(self.row)

    def product(self, values: Tensor, x: Tensor, *, transposed: bool = False) -> Tensor:
        """`W x` (transposed: `W^T x`) for values [m] and dense x [columns, d] (transposed: [rows, d])."""
        return _Product.apply(values, x, self, transposed)

    def dots(self, left: Tensor, right: Tensor) -> Tensor:
        """`left[row] . right[column]` for every edge: [m], from left [rows, d] and right [columns, d]."""
        return _Dots.apply(left, right, self)

    def softmax(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """Values [m] to weights [m], positive, that sum to 1 over the edges of each row (transposed: column)."""
        return _Softmax.apply(values, self, transposed)

    def sums(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """For every edge the sum of the values [m] over the edges of its row (transposed: column): [m]."""
        ends, others = (self.column, self.shape[0]) if transposed else (self.row, self.shape[1])
        sums = self.product(values, values.new_ones(others, 1), transposed=transposed)
        return lookup(sums, ends)[:, 0]

    def mean(self, values: Tensor, x: Tensor, *, transposed: bool = False, epsilon: float = 0.0) -> Tensor:
        """For each row the mean of the rows of x at its edges, weighted by values [m]: `W x / (W 1 + epsilon)`.

        A row whose weights and `epsilon` sum to 0 gives 0. Shapes as of `product`.
        """
        return _Mean.apply(values, x, self, transposed, epsilon)

    def matrix(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """The torch CSR tensor of these values; no copy, except that the transpose has its values reordered."""
        prefix, shape = ("transposed_", self.shape[::-1]) if transposed else ("", self.shape)
        pointers, columns = (getattr(self, prefix + name) for name in ("pointers", "columns"))
        return csr_tensor([pointers, columns, values[self.by_column] if transposed else values], shape)


def _full(x: Tensor) -> Tensor:
    """CSR products exist in float32 and float64 only."""
    return x if x.dtype == torch.float64 else x.float()


class _Product(torch.autograd.Function):
    """`W x`; gradients: inner products at the pattern for the values, the transposed product for x."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, x: Tensor, pattern: Pattern, transposed: bool) -> Tensor:
        ctx.save_for_backward(values, x)
        ctx.pattern, ctx.transposed = pattern, transposed
        with torch.autocast(x.device.type, enabled=False):
            return pattern.matrix(_full(values), transposed=transposed) @ _full(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        values, x = ctx.saved_tensors
        pattern, transposed = ctx.pattern, ctx.transposed
        of_values = of_x = None
        if ctx.needs_input_grad[0]:
            of_values = pattern.dots(x, gradient) if transposed else pattern.dots(gradient, x)
        if ctx.needs_input_grad[1]:
            of_x = pattern.product(values, gradient, transposed=not transposed)
        return of_values, of_x, None, None


class _Mean(torch.autograd.Function):
    """`m = W x / s` with s the sums of rows of W. With g over s for g, gradients are `W^T g` for x, and for a value
    `g_row . x_column - g_row . m_row`: no gradient passes through s by itself. It can be differentiated once."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, x: Tensor, pattern: Pattern, transposed: bool, epsilon: float) -> Tensor:
        values, x = _full(values), _full(x)
        sums = pattern.product(values, values.new_ones(len(x), 1), transposed=transposed) + epsilon
        empty = sums == 0
        scale = sums.masked_fill_(empty, 1.0).reciprocal_()
        means = pattern.product(values, x, transposed=transposed).mul_(scale)
        ctx.save_for_backward(values, x, scale.masked_fill(empty, 0.0), means)
        ctx.pattern, ctx.transposed = pattern, transposed
        return means

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        values, x, scale, means = ctx.saved_tensors
        pattern, transposed = ctx.pattern, ctx.transposed
        gradient = gradient * scale
        of_values = of_x = None
        if ctx.needs_input_grad[0]:
            of_values = pattern.dots(x, gradient) if transposed else pattern.dots(gradient, x)
            of_values -= (gradient * means).sum(1)[pattern.column if transposed else pattern.row]
        if ctx.needs_input_grad[1]:
            of_x = pattern.product(values, gradient, transposed=not transposed)
        return of_values, of_x, None, None, None


class _Softmax(torch.autograd.Function):
    """Softmax p over the edges of a row or column; the gradient is `p (g - sum of p g over them)`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, pattern: Pattern, transposed: bool) -> Tensor:
        values = _full(values)
        ends, size = (pattern.column, pattern.shape[1]) if transposed else (pattern.row, pattern.shape[0])
        largest = torch.full((size,), -torch.inf, dtype=values.dtype, device=values.device)
        largest = largest.scatter_reduce(0, ends, values, "amax")
        powers = (values - largest[ends]).exp()
        weights = powers / pattern.sums(powers, transposed=transposed)
        ctx.save_for_backward(weights)
        ctx.pattern, ctx.transposed = pattern, transposed
        return weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weights,) = ctx.saved_tensors
        moved = weights * gradient
        return moved - weights * ctx.pattern.sums(moved, transposed=ctx.transposed), None, None


class _Dots(torch.autograd.Function):
    """Inner products at the pattern; gradients: the gradient's values as a matrix, times the other side."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, pattern: Pattern) -> Tensor:
        ctx.save_for_backward(left, right)
        ctx.pattern = pattern
        with torch.autocast(left.device.type, enabled=False):
            left, right = _full(left), _full(right)
            places = pattern.matrix(left.new_zeros(len(pattern)))
            return torch.sparse.sampled_addmm(places, left.contiguous(), right.contiguous().T, beta=0.0).values()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        left, right = ctx.saved_tensors
        pattern = ctx.pattern
        of_left = pattern.product(gradient, right) if ctx.needs_input_grad[0] else None
        of_right = pattern.product(gradient, left, transposed=True) if ctx.needs_input_grad[1] else None
        return of_left, of_right, None
