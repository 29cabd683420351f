"""Sparse propagation over the user-item graph: constant matrices kept with their transpose.

A propagation matrix carries no gradient, so the backward of `A @ x` is one more product, by the transpose. Autograd
does not know that and transposes a CSR matrix in every step. Here the transpose is built once; a symmetric matrix is
its own. int32 indices are half the traffic of int64 and what MKL and cuSPARSE take without a conversion.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import scipy.sparse as sp

from augrec.artefacts.errors import DataError
from recsys.graph.sparse_operator import Operator

__all__ = [
    "Bipartite", "Normalisation", "Operator", "adjacency", "adjacency_with_self", "bipartite", "row_mean_with_self",
    "symmetric",
]  # fmt: skip

Normalisation = Literal["symmetric", "row-sqrt", "row-mean"]
DEGREE_EPSILON = 1e-8  # LLMRec's: keeps the square root of a zero degree finite
ROWS_AT_ONCE = 2**16


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
    if norm == "symmetric":
        forward, transpose = symmetric(edges, n_users, n_items)
        return Bipartite(Operator(forward, transpose), Operator(transpose, forward))
    power, epsilon = {"row-sqrt": (-0.5, DEGREE_EPSILON), "row-mean": (-1.0, 0.0)}[norm]
    interactions, transpose = _incidence(edges, n_users, n_items)
    both = []
    for side, other in ((interactions, transpose), (transpose, interactions)):
        receiver, sender = _power(_degree(side) + epsilon, power), np.ones(side.shape[1])
        both.append(Operator(_scaled(side, receiver, sender), _scaled(other, sender, receiver)))
    return Bipartite(*both)


def adjacency(edges: np.ndarray, n_users: int, n_items: int) -> Operator:
    """`D^-1/2 A D^-1/2` of the joint graph, users first, items at n_users and up; [n, n], symmetric.

    Source: LightGCN (He et al., SIGIR 2020), equation 8. Where only sums of powers are wanted, `SmoothingGraph`
    is faster and needs less memory.
    """
    upper, lower = symmetric(edges, n_users, n_items)
    index = Operator.index_type(2 * upper.nnz, n_users + n_items)
    columns = np.concatenate([upper.indices.astype(index) + index(n_users), lower.indices.astype(index)])
    pointers = np.concatenate([upper.indptr.astype(index), lower.indptr[1:].astype(index) + index(upper.nnz)])
    joint = sp.csr_array(
        (np.concatenate([upper.data, lower.data]), columns, pointers), shape=(n_users + n_items, n_users + n_items)
    )
    return Operator(joint, symmetric=True, checked=True)


def adjacency_with_self(edges: np.ndarray, n_users: int, n_items: int) -> Operator:
    """`D^-1/2 (A + I) D^-1/2` of the joint graph, the degrees counting a node itself; [n, n], symmetric, users first.

    Source: the renormalisation of GCN (Kipf & Welling, ICLR 2017), which GCCF (Chen et al., AAAI 2020) takes over.
    """
    joint = _joint_with_self(edges, n_users, n_items)
    power = _power(_degree(joint), -0.5)
    return Operator(_scaled(joint, power, power), symmetric=True, checked=True)


def row_mean_with_self(edges: np.ndarray, n_users: int, n_items: int) -> Operator:
    """`D^-1 (A + I)` of the joint graph, the degrees counting a node itself; [n, n], users first.

    Source: the default graph of NGCF's published code, and of its descendants LATTICE and MICRO.
    """
    joint = _joint_with_self(edges, n_users, n_items)
    return Operator(_scaled(joint, _power(_degree(joint), -1.0), np.ones(n_users + n_items)))


def _joint_with_self(edges: np.ndarray, n_users: int, n_items: int) -> sp.csr_array:
    """A + I as a matrix of ones, sorted."""
    interactions, transpose = _incidence(edges, n_users, n_items)
    joint = sp.block_array([[None, interactions], [transpose, None]], format="csr")
    joint = sp.csr_array(joint + sp.eye_array(n_users + n_items, dtype=np.float32, format="csr"))
    joint.sort_indices()
    return joint


def symmetric(edges: np.ndarray, n_users: int, n_items: int) -> tuple[sp.csr_array, sp.csr_array]:
    """The block [n_users, n_items] of `D^-1/2 A D^-1/2`, what users receive from items, and its transpose."""
    interactions, transpose = _incidence(edges, n_users, n_items)
    user, item = _power(_degree(interactions), -0.5), _power(_degree(transpose), -0.5)
    return _scaled(interactions, user, item), _scaled(transpose, item, user)


def _incidence(edges: np.ndarray, n_users: int, n_items: int) -> tuple[sp.csr_array, sp.csr_array]:
    """The matrix of ones at the edges and its transpose, sorted, with float32 values and the smallest index type."""
    users, items = np.asarray(edges, dtype=np.int64).reshape(-1, 2).T
    if len(users) and (min(users.min(), items.min()) < 0 or users.max() >= n_users or items.max() >= n_items):
        raise DataError(f"an edge lies outside the {n_users} x {n_items} users and items")
    index = Operator.index_type(len(users), max(n_users, n_items))
    ones = np.ones(len(users), dtype=np.float32)
    matrix = sp.coo_array((ones, (users.astype(index), items.astype(index))), shape=(n_users, n_items)).tocsr()
    if matrix.nnz != len(users):
        raise DataError(
            f"{len(users) - matrix.nnz} training interactions occur more than once", remedy="drop duplicates first"
        )
    matrix.sort_indices()
    return matrix, matrix.T.tocsr()


def _degree(matrix: sp.csr_array) -> np.ndarray:
    return np.diff(matrix.indptr).astype(np.float64)


def _power(degree: np.ndarray, power: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.where(degree > 0, degree, np.inf) ** power


def _scaled(matrix: sp.csr_array, rows: np.ndarray, columns: np.ndarray) -> sp.csr_array:
    """`diag(rows) M diag(columns)` of a matrix of ones; it shares M's indices. Products in float64, stored as float32.

    By blocks of rows, for twenty million edges need 80 MB of values and would need 480 MB of temporaries.
    """
    values = np.empty(matrix.nnz, dtype=np.float32)
    for start in range(0, matrix.shape[0], ROWS_AT_ONCE):
        end = min(start + ROWS_AT_ONCE, matrix.shape[0])
        part = slice(matrix.indptr[start], matrix.indptr[end])
        lengths = np.diff(matrix.indptr[start : end + 1])
        values[part] = np.repeat(rows[start:end], lengths) * columns[matrix.indices[part]]
    return sp.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)
