"""The inverse of a symmetric, positive definite matrix in its place, by n^3 operations for n rows: half of it counts.

On the CPU up to `WHOLE` rows are LAPACK's, which SciPy brings: a Cholesky factor, and its inverse. Of more rows LAPACK
inverts the tiles on the diagonal, and products of matrices do the rest. For each tile k with the pivot D = A_kk, A_ij
becomes A_ij - A_ik D^-1 A_kj for all i and j but k, A_ik becomes A_ik D^-1, and D becomes -D^-1. After the last one
-A^-1 stands there.
Source: the sweep operator (Goodnight, "A Tutorial on the SWEEP Operator", The American Statistician 33, 1979), with
tiles in place of numbers. Each pivot is a Schur complement of the matrix, and so positive definite as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import torch
from scipy.linalg import lapack
from torch import Tensor

FEWEST_ALONE = 0.1  # share of rows with nothing beside the diagonal from which it pays to leave them out
ROWS = 1024  # of a matrix of n^2, worked on at a time
WHOLE = 10_000  # rows of the largest matrix that LAPACK inverts whole
"""OpenBLAS, which SciPy brings, writes behind its buffers where two threads factorise a large matrix: version 0.3.30
crashes there at 17,366 rows in float64."""
TILE = 2048  # rows of a tile on the diagonal: LAPACK is as fast as with more, and A_ik D^-1 is small beside the matrix
STRIP = 512  # rows of a product that is taken off: what of it lies below the diagonal is for nothing
LONG = 2048  # columns of one, which then stays in the cache


def inverted(matrix: Tensor) -> Tensor:
    """The inverse of a symmetric, positive definite matrix, in its place on the CPU if it is contiguous.

    Rows with nothing beside the diagonal, such as those of items without training interactions, are inverted by
    themselves. More than `WHOLE` rows take memory for n x `TILE` numbers beside the matrix.

    Args:
        matrix: [n, n], float64, or float32 on the CPU.

    Raises:
        RuntimeError or ArithmeticError: the matrix is not positive definite; what is in it is of no use then.
    """
    entries = torch.cat([part.count_nonzero(dim=1) for part in matrix.split(ROWS)])
    alone = (entries == 1) & (matrix.diagonal() > 0)
    if FEWEST_ALONE * len(matrix) <= alone.sum() < len(matrix):
        met = (~alone).nonzero().ravel()
        block = inverted(matrix.index_select(0, met).index_select(1, met))
        matrix.diagonal().reciprocal_()
        matrix[met[:, None], met] = block
        return matrix
    if matrix.is_cuda:
        return torch.cholesky_inverse(torch.linalg.cholesky(matrix))
    matrix = matrix.contiguous()
    (_by_lapack if len(matrix) <= WHOLE else _by_tiles)(matrix)
    return matrix


def _by_lapack(matrix: Tensor, before: int = 0) -> None:
    """Reads the half above the diagonal; an error counts columns from `before` on."""
    columns = matrix.numpy().T  # the same matrix, in LAPACK's order
    potrf, potri = lapack.get_lapack_funcs(("potrf", "potri"), (columns,))
    factor, failed = potrf(columns, lower=1, clean=0, overwrite_a=1)
    if not failed:
        _, failed = potri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ArithmeticError(f"LAPACK stopped at column {before + failed}: not positive definite")
    _mirror(matrix)


def _by_tiles(matrix: Tensor) -> None:
    """The steps of the module on the half above the diagonal; of products a strip lies partly below."""
    entries, n = matrix.numpy(), len(matrix)
    scaled = np.empty((n, TILE), dtype=entries.dtype)  # A_ik D^-1
    for own in _slices(0, n, TILE):
        pivot = matrix[own, own].clone(memory_format=torch.contiguous_format)
        _by_lapack(pivot, own.start)
        above, right = entries[: own.start, own], entries[own, own.stop :]
        part = scaled[:, : len(pivot)]
        np.matmul(above, pivot.numpy(), out=part[: own.start])
        np.matmul(right.T, pivot.numpy(), out=part[own.stop :])
        for rows in chain(_slices(0, own.start, STRIP), _slices(own.stop, n, STRIP)):
            for columns in _slices(rows.start, own.start, LONG):
                entries[rows, columns] -= part[rows] @ above[columns].T
            for columns in _slices(max(rows.start, own.stop), n, LONG):
                entries[rows, columns] -= part[rows] @ entries[own, columns]
        above[:], right[:] = part[: own.start], part[own.stop :].T
        torch.neg(pivot, out=matrix[own, own])
    _mirror(matrix)
    matrix.neg_()


def _slices(start: int, stop: int, length: int) -> Iterator[slice]:
    for first in range(start, stop, length):
        yield slice(first, min(first + length, stop))


def _mirror(matrix: Tensor) -> None:
    """Writes the half below the diagonal from the one above."""
    for start in range(0, len(matrix), ROWS):
        part = slice(start, start + ROWS)
        own = matrix[part, part].triu()
        matrix[part, part] = own + own.triu(1).T
        matrix[start + ROWS :, part] = matrix[part, start + ROWS :].T
