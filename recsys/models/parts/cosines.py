"""Feature vectors as directions: their cosines, and rows that have these as inner products.

Vectors that are mostly zeros (words, tags, one-hot attributes) have a way of their own, which never makes them dense.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor

from recsys.augmentation import FeatureMatrix

SPARSE = 0.1
"""Share of numbers that are not zero up to which a matrix is taken for sparse."""
ROWS = 1024  # of the result at a time
NOTHING = 1e-7  # a rest below this share of the largest number is rounding


def is_sparse(matrix: FeatureMatrix) -> bool:
    """Whether at most a tenth of its numbers are not zero."""
    cells = matrix.values.size
    return cells > 0 and int(np.count_nonzero(matrix.values)) <= SPARSE * cells


def sparse_rows(matrix: FeatureMatrix) -> sp.csr_array:
    """The matrix, float32 [n, d], without its zeros."""
    return sp.csr_array(sp.csr_array(matrix.values)[matrix.index])


def add_sparse_cosines(target: Tensor, matrix: FeatureMatrix, weight: float, *, centred: bool) -> None:
    """target += weight K, where K_ij is the cosine of rows i and j, `centred` after the mean of all rows is subtracted.

    Rows that are missing, are zeros, or equal the mean that is subtracted have zeros in K. With t a row and m the mean,
    (t_i - m) . (t_j - m) = t_i . t_j - t_i . m - t_j . m + m . m, so that nothing dense is made but K itself, a block
    of rows at a time.

    Args:
        target: float64 [n, n], changed in place.
        matrix: n rows.
        weight: any.
        centred: whether m is the mean; else it is 0.
    """
    rows = sparse_rows(matrix).astype(np.float64)
    if not matrix.mask.any():
        return
    mean = np.zeros(matrix.dim)
    if centred:
        mean = np.asarray(rows[matrix.mask].sum(axis=0)).ravel() / matrix.mask.sum()
    along, square = rows @ mean, float(mean @ mean)
    squares = np.asarray(rows.multiply(rows).sum(axis=1)).ravel() - 2 * along + square
    lengths = np.sqrt(np.maximum(squares, 0.0))
    rounding = NOTHING * np.abs(matrix.values).max() if centred else 0.0
    real = matrix.mask & (lengths > rounding)
    scale = np.where(real, 1.0 / np.where(real, lengths, 1.0), 0.0)
    transposed = sp.csr_array(rows.T)
    for start in range(0, len(target), ROWS):
        part = slice(start, start + ROWS)
        block = (rows[part] @ transposed).toarray() - along[part, None] - along + square
        block *= weight * scale[part, None] * scale
        target[part] += torch.from_numpy(block).to(target)


def side_by_side(matrices: Iterable[Tensor], rows: int) -> Tensor:
    """float64 [rows, d] whose inner products are the mean of those of several matrices; d is 0 where there are none."""
    parts = list(matrices)
    if not parts:
        return torch.zeros(rows, 0, dtype=torch.float64)
    return torch.cat(parts, dim=1) / len(parts) ** 0.5


def unit_rows(matrix: FeatureMatrix) -> Tensor:
    """float64 [n, d]: each vector at length 1; zeros where there is none."""
    return F.normalize(torch.from_numpy(matrix.dense()).double(), dim=1)


def centred_unit_rows(matrix: FeatureMatrix) -> Tensor:
    """float64 [n, d]: each vector less the mean of all of them, at length 1. Zeros where there is none, or no rest."""
    dense = torch.from_numpy(matrix.dense()).double()
    there = torch.from_numpy(matrix.mask)
    if not dense.numel() or not there.any():
        return torch.zeros_like(dense)
    centred = dense - dense[there].mean(dim=0)
    centred[~there] = 0.0
    size = dense.abs().max()
    return torch.where(centred.norm(dim=1, keepdim=True) > NOTHING * size, F.normalize(centred, dim=1), 0.0)
