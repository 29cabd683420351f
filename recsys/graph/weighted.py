"""Sparse products whose entries are learned: a fixed pattern of edges, and one value per edge that carries a gradient.

With a matrix W of pattern P and values w, `W x` has the gradients `W^T g` for x and `g_row . x_column` for each value:
a product by the transpose, and inner products at the places of P. The gradients of inner products at P are products
by W and W^T again. So the two operations below are each other's backward, at any order, and neither materialises a
vector per edge. All sums have a fixed order, so gradients are the same in every run.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from recsys.gather import lookup


class Pattern(nn.Module):
    """The places of a sparse matrix [rows, columns]; its values come with each call, in the order of `row`, `column`.

    Its buffers follow `.to(device)` but are no part of `state_dict`: they are rebuilt from the data.

    Args:
        edges: int64 [m, 2] of (row, column), unique, in any order; they are kept sorted.
        rows, columns: the shape.
    """

    row: Tensor
    column: Tensor
    by_column: Tensor

    def __init__(self, edges: np.ndarray, rows: int, columns: int) -> None:
        super().__init__()
        self.shape = (rows, columns)
        edges = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
        row, column = edges[np.lexsort((edges[:, 1], edges[:, 0]))].T
        by_column = np.lexsort((row, column))
        index = np.int32 if max(len(edges), rows, columns) <= np.iinfo(np.int32).max else np.int64
        self._keep("row", row)
        self._keep("column", column)
        self._keep("by_column", by_column)
        for prefix, size, of, other in (("", rows, row, column), ("transposed_", columns, column, row)):
            sorted_by = slice(None) if not prefix else by_column
            self._keep(prefix + "pointers", np.searchsorted(of[sorted_by], np.arange(size + 1)).astype(index))
            self._keep(prefix + "columns", other[sorted_by].astype(index))

    def _keep(self, name: str, array: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array)), persistent=False)

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

    def matrix(self, values: Tensor, *, transposed: bool = False) -> Tensor:
        """The torch CSR tensor of these values; no copy, except that the transpose has its values reordered."""
        prefix, shape = ("transposed_", self.shape[::-1]) if transposed else ("", self.shape)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state", UserWarning)
            return torch.sparse_csr_tensor(
                getattr(self, prefix + "pointers"),
                getattr(self, prefix + "columns"),
                values[self.by_column] if transposed else values,
                size=shape,
                check_invariants=False,
            )


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
