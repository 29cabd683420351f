"""Items that are no candidates: where they lie in a score matrix, and their scores at -inf for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


def masked_positions(users: np.ndarray, items: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(row, item) of every interaction of `users`, the row being the place in `users`; int64 [m] each.

    Args:
        users: int64 [b].
        items: int64, the items of a split in user order.
        starts: int64 [n_users + 1], user u's items are items[starts[u] : starts[u + 1]].
    """
    lengths = starts[users + 1] - starts[users]
    rows = np.repeat(np.arange(len(users)), lengths)
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return rows, items[starts[users][rows] + offsets]


def writable(matrix: Tensor) -> Tensor:
    """The matrix itself where it is a plain tensor of its own, else a copy: part of a table is never written to."""
    own = matrix.is_contiguous() and matrix.untyped_storage().nbytes() == matrix.numel() * matrix.element_size()
    return matrix if own and not matrix.is_inference() else matrix.clone(memory_format=torch.contiguous_format)


@contextmanager
def masked(matrix: Tensor, places: Tensor) -> Iterator[Tensor]:
    """Sets the scores at `places` (int64 [m], distinct, in the flattened matrix) to -inf, gives the old ones, restores.

    Cheaper than a copy of the matrix, and right also where the matrix is somebody's whole table.
    """
    flat = matrix.view(-1)
    before = flat[places]
    flat[places] = -torch.inf
    try:
        yield before
    finally:
        flat[places] = before
