"""The largest entries of each row of a sparse matrix: few are let through by a bound, and these are sorted.

The bound of a row is the k-th largest of the maxima of its runs of `RUN` entries, which cannot be above its k-th
largest entry. Of a long row it lets some k entries through, whatever its length. What is left is sorted in short
pieces: a row is cut into them, what a piece keeps is a shorter row, until it is a single piece. Short arrays are sorted
within the processor's registers and first cache: NumPy takes 2 ns an entry for 256 numbers on a core with AVX-512, and
12 for a thousand.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

RUN = 8  # entries whose maximum stands for them; rows of fewer than k runs are sorted whole
PIECE = 128  # the longest one, unless more are kept of it
COLUMNS = 2**29  # a float64 that holds a float32 has so many bit patterns to spare


def largest(block: sp.csr_array, k: int, start: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Columns (int32) and values (float32) of the k largest positive entries of each row, [n, k].

    Zeros where there are fewer. Largest first; equal ones (in float32: rounding makes no order) by lower column.

    Args:
        block: floats [n, m], m at most 2^29.
        k: entries of a row.
        start: the row of a square matrix that the block begins with; its diagonal is left out.
    """
    values, columns, starts = block.data.astype(np.float32), block.indices, block.indptr
    del block  # in float64, and its caller holds it no longer
    bounds = _bounds(values, starts, k if start is None else k + 1)
    there = np.flatnonzero(values >= np.repeat(bounds, np.diff(starts)))
    starts = np.searchsorted(there, starts).astype(np.int32)
    # Positive floats are in the order of their bits; of equal ones the lower column is the larger.
    keys, columns = values.take(there).astype(np.float64).view(np.int64), columns.take(there)
    keys -= columns
    if start is not None:
        keys[columns == np.repeat(np.arange(start, start + len(bounds), dtype=np.int32), np.diff(starts))] = 0
    best = _largest(keys, starts[:-1], np.diff(starts), k)
    bits = (best + (COLUMNS - 1)) & -COLUMNS
    columns, values = (bits - best).astype(np.int32), bits.view(np.float64).astype(np.float32)
    missing = values <= 0
    columns[missing], values[missing] = 0, 0.0
    return columns, values


def _bounds(values: np.ndarray, starts: np.ndarray, k: int) -> np.ndarray:
    """float32 [n]: what no row's k-th largest entry is below. Rows begin at `starts`; 0 where runs are too few."""
    runs = values[: len(values) // RUN * RUN].reshape(-1, RUN)
    largest_of_run = runs[:, 0].copy()
    for place in range(1, RUN):
        np.maximum(largest_of_run, runs[:, place], out=largest_of_run)
    first = -(-starts[:-1] // RUN)  # a run that reaches into another row is nobody's
    return _largest(largest_of_run, first, np.maximum(starts[1:] // RUN - first, 0), k)[:, -1]


def _largest(numbers: np.ndarray, first: np.ndarray, lengths: np.ndarray, k: int) -> np.ndarray:
    """[n, k]: the k largest positive numbers of each row, largest first, and 0 where there are fewer.

    Args:
        numbers: of all rows, one after the other.
        first, lengths: int32 [n], where each row begins and how many it has.
    """
    if not lengths.any():
        return np.zeros((len(lengths), k), dtype=numbers.dtype)
    while True:
        longest, mean = int(lengths.max()), int(lengths.sum()) // len(lengths)
        width = min(max(longest, k), max(min(PIECE, 2 * mean), 2 * k))
        pieces = np.maximum(-(-lengths // width), 1)
        before = np.cumsum(pieces, dtype=np.int32) - pieces
        skipped = width * (np.arange(pieces.sum(), dtype=np.int32) - np.repeat(before, pieces))
        padded = np.concatenate([numbers, np.zeros(width, dtype=numbers.dtype)])
        windows = np.ndarray((len(numbers) + 1, width), padded.dtype, padded, 0, 2 * padded.strides)  # they overlap
        piece = windows[np.repeat(first, pieces) + skipped]
        beyond = np.arange(width, dtype=np.int32) >= (np.repeat(lengths, pieces) - skipped)[:, None]
        np.copyto(piece, 0, where=beyond)  # what the next row has there
        piece.sort(axis=1)
        kept = piece[:, -k:]
        if longest <= width:
            return np.maximum(kept[:, ::-1], 0)
        numbers, lengths = kept.ravel(), k * pieces
        first = np.cumsum(lengths, dtype=np.int32) - lengths
