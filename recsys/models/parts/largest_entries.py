"""The largest entries of each row of a sparse matrix, by sorting short pieces of rows.

A row is cut into pieces, each piece is sorted and keeps its k largest, and what is kept of a row is a shorter row,
until it is a single piece. Short arrays are sorted within the processor's registers and first cache: NumPy takes 2 ns
an entry for 256 numbers on a core with AVX-512, and 12 for a thousand.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

PIECE = 128  # the longest one, unless more are kept of it
COLUMNS = 2**29  # a float64 that holds a float32 has so many bit patterns to spare


def largest(block: sp.csr_array, k: int, start: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Columns (int32) and values (float32) of the k largest positive entries of each row, [n, k].

    Zeros where there are fewer. Largest first; equal ones (in float32: rounding makes no order) by lower column.

    Args:
        block: float64 [n, m], m at most 2^29.
        k: entries of a row.
        start: the row of a square matrix that the block begins with; its diagonal is left out.
    """
    keys = block.data.astype(np.float32).astype(np.float64).view(np.int64)
    keys -= (
        block.indices
    )  # positive floats are in the order of their bits; of equal ones the lower column is the larger
    best = _largest_keys(keys, block.indptr, k if start is None else k + 1)
    bits = (best + (COLUMNS - 1)) & -COLUMNS
    columns, values = (bits - best).astype(np.int32), bits.view(np.float64).astype(np.float32)
    there = values > 0
    columns[~there], values[~there] = 0, 0.0
    if start is None:
        return columns, values
    own = (columns == np.arange(start, start + len(columns))[:, None]) & there
    left_out = np.where(own.any(axis=1), own.argmax(axis=1), k)  # the last one, unless it is there
    others = np.arange(k) + (np.arange(k) >= left_out[:, None])
    return np.take_along_axis(columns, others, axis=1), np.take_along_axis(values, others, axis=1)


def _largest_keys(keys: np.ndarray, starts: np.ndarray, k: int) -> np.ndarray:
    """int64 [n, k]: the k largest of each row, largest first, and 0 where there are fewer. Rows begin at `starts`."""
    first, lengths = starts[:-1].astype(np.int32), np.diff(starts).astype(np.int32)
    if not len(keys):
        return np.zeros((len(lengths), k), dtype=np.int64)
    while True:
        longest, mean = int(lengths.max()), len(keys) // len(lengths)
        width = min(max(longest, k), max(min(PIECE, 2 * mean), 2 * k))
        pieces = np.maximum(-(-lengths // width), 1)
        before = np.cumsum(pieces, dtype=np.int32) - pieces
        skipped = width * (np.arange(pieces.sum(), dtype=np.int32) - np.repeat(before, pieces))
        place = np.arange(width, dtype=np.int32)
        piece = keys.take((np.repeat(first, pieces) + skipped)[:, None] + place, mode="clip")
        np.copyto(
            piece, 0, where=place >= (np.repeat(lengths, pieces) - skipped)[:, None]
        )  # what the next row has there
        piece.sort(axis=1)
        kept = piece[:, -k:]
        if longest <= width:
            return kept[:, ::-1]
        keys, lengths = kept.ravel(), k * pieces
        first = np.cumsum(lengths, dtype=np.int32) - lengths
