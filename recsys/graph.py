"""Sparse propagation over the user-item graph: constant matrices kept with their transpose.

A propagation matrix carries no gradient, so the backward of `A @ x` is one more product, by the transpose. Autograd
does not know that and transposes a CSR matrix in every step. Here the transpose is built once; a symmetric matrix is
its own. int32 indices are half the traffic of int64 and what MKL and cuSPARSE take without a conversion.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from artefacts.errors import DataError

Normalisation = Literal["symmetric", "row-sqrt", "row-mean"]
DEGREE_EPSILON = 1e-8  # LLMRec's: keeps the square root of a zero degree finite
BUFFERS = ("row_pointers", "columns", "values")


class Operator(nn.Module):
    """A constant sparse matrix [rows, columns] that multiplies dense ones, with a cheap backward.

    Its buffers follow `.to(device)` and `.double()` but are no part of `state_dict`: they are rebuilt from the data.

    Args:
        matrix: the entries; duplicates are summed, explicit zeros kept.
        symmetric: the matrix equals its transpose, which is then not stored. Checked.
    """

    def __init__(self, matrix: sp.spmatrix | sp.sparray, *, symmetric: bool = False) -> None:
        super().__init__()
        forward = sp.csr_array(matrix)
        forward.sort_indices()
        transpose = sp.csr_array(forward.T)
        transpose.sort_indices()
        if symmetric and (forward.shape[0] != forward.shape[1] or abs(forward - transpose).max() > 0):
            raise DataError("the matrix is declared symmetric and is not")
        self.shape: tuple[int, int] = forward.shape
        self.symmetric = symmetric
        self._store("", forward)
        if not symmetric:
            self._store("transposed_", transpose)
        self._cache: dict[str, Tensor] = {}

    def _store(self, prefix: str, matrix: sp.csr_array) -> None:
        index = np.int32 if max(matrix.nnz, *matrix.shape) <= np.iinfo(np.int32).max else np.int64
        parts = (matrix.indptr.astype(index), matrix.indices.astype(index), matrix.data.astype(np.float32))
        for name, part in zip(BUFFERS, parts, strict=True):
            self.register_buffer(prefix + name, torch.from_numpy(part), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Operator:
        self._cache = {}
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": {}}

    def matrix(self, *, transposed: bool = False) -> Tensor:
        """The stored matrix as a torch CSR tensor of the buffers' device and type (transposed: its transpose)."""
        flip = transposed and not self.symmetric
        prefix, shape = ("transposed_", self.shape[::-1]) if flip else ("", self.shape)
        if prefix not in self._cache:
            rows, columns, values = (getattr(self, prefix + name) for name in BUFFERS)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state", UserWarning)
                self._cache[prefix] = torch.sparse_csr_tensor(rows, columns, values, size=shape, check_invariants=False)
        return self._cache[prefix]

    def apply_to(self, x: Tensor) -> Tensor:
        """`A x` for dense x [columns, d]; result [rows, d], of the operator's type also under autocast."""
        return _Product.apply(x, self, False)

    def mean_of_powers(self, x: Tensor, layers: int) -> Tensor:
        """`(x + A x + ... + A^layers x) / (layers + 1)` for a square A, as one autograd node that stores no layer."""
        return _MeanOfPowers.apply(x, self, layers, False)

    def forward(self, x: Tensor) -> Tensor:
        """The same as `apply_to`."""
        return self.apply_to(x)

    __matmul__ = apply_to


class _Product(torch.autograd.Function):
    """`A x`; the gradient with respect to x is `A^T g`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, operator: Operator, transposed: bool) -> Tensor:
        ctx.operator, ctx.transposed = operator, transposed
        matrix = operator.matrix(transposed=transposed)
        with torch.autocast(x.device.type, enabled=False):  # CSR products exist in float32 and float64 only
            return matrix @ x.to(matrix.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Product.apply(gradient, ctx.operator, not ctx.transposed), None, None


class _MeanOfPowers(torch.autograd.Function):
    """Horner's scheme `h <- x + A h`. The transpose of a polynomial in A is that polynomial in A^T."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, operator: Operator, layers: int, transposed: bool) -> Tensor:
        ctx.operator, ctx.layers, ctx.transposed = operator, layers, transposed
        matrix = operator.matrix(transposed=transposed)
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(matrix.dtype)
            sum_of_powers = x
            for _ in range(layers):
                sum_of_powers = torch.addmm(x, matrix, sum_of_powers)
            return sum_of_powers / (layers + 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _MeanOfPowers.apply(gradient, ctx.operator, ctx.layers, not ctx.transposed), None, None, None


class Bipartite(NamedTuple):
    """The two directions of one hop."""

    user_from_item: Operator
    item_from_user: Operator


def bipartite(edges: np.ndarray, n_users: int, n_items: int, norm: Normalisation = "symmetric") -> Bipartite:
    """The operators users <- items [n_users, n_items] and items <- users [n_items, n_users].

    Args:
        edges: int64 [m, 2] of training (user, item) pairs, unique.
        norm: an entry (u, i) is 1/sqrt(d_u d_i) (`symmetric`, LightGCN), 1/sqrt(d_row + 1e-8) (`row-sqrt`, LLMRec's
            code), or 1/d_row (`row-mean`). Rows without an edge stay zero.
    """
    interactions = _incidence(edges, n_users, n_items)
    if norm == "symmetric":
        scaled = _diagonal(_degree(interactions, 1), -0.5) @ interactions @ _diagonal(_degree(interactions, 0), -0.5)
        return Bipartite(Operator(scaled), Operator(scaled.T))
    power, epsilon = {"row-sqrt": (-0.5, DEGREE_EPSILON), "row-mean": (-1.0, 0.0)}[norm]
    both = (interactions, sp.csr_array(interactions.T))
    return Bipartite(*(Operator(_diagonal(_degree(side, 1) + epsilon, power) @ side) for side in both))


def adjacency(edges: np.ndarray, n_users: int, n_items: int) -> Operator:
    """`D^-1/2 A D^-1/2` of the joint graph, users first, items at n_users and up; [n, n], symmetric.

    Source: LightGCN (He et al., SIGIR 2020), equation 8.
    """
    interactions = _incidence(edges, n_users, n_items)
    scaled = _diagonal(_degree(interactions, 1), -0.5) @ interactions @ _diagonal(_degree(interactions, 0), -0.5)
    return Operator(sp.block_array([[None, scaled], [scaled.T, None]], format="csr"), symmetric=True)


def row_mean_with_self(edges: np.ndarray, n_users: int, n_items: int) -> Operator:
    """`D^-1 (A + I)` of the joint graph, the degrees counting a node itself; [n, n], users first.

    Source: the default graph of NGCF's published code, and of its descendants LATTICE and MICRO.
    """
    interactions = _incidence(edges, n_users, n_items)
    joint = sp.block_array([[None, interactions], [interactions.T, None]], format="csr")
    joint = joint + sp.eye_array(n_users + n_items, format="csr")
    return Operator(_diagonal(_degree(joint, 1), -1.0) @ joint)


def _incidence(edges: np.ndarray, n_users: int, n_items: int) -> sp.csr_array:
    users, items = np.asarray(edges, dtype=np.int64).reshape(-1, 2).T
    if len(users) and (min(users.min(), items.min()) < 0 or users.max() >= n_users or items.max() >= n_items):
        raise DataError(f"an edge lies outside the {n_users} x {n_items} users and items")
    matrix = sp.coo_array((np.ones(len(users)), (users, items)), shape=(n_users, n_items)).tocsr()
    if matrix.nnz != len(users):
        raise DataError(
            f"{len(users) - matrix.nnz} training interactions occur more than once", remedy="drop duplicates first"
        )
    return matrix


def _degree(interactions: sp.csr_array, axis: int) -> np.ndarray:
    return np.asarray(interactions.sum(axis=axis), dtype=np.float64).ravel()


def _diagonal(degree: np.ndarray, power: float) -> sp.dia_array:
    with np.errstate(divide="ignore"):
        scale = np.where(degree > 0, degree, np.inf) ** power
    return sp.diags_array(scale)
