"""How often items share users, weighed: the W of item-kNN and of random walks, by blocks of rows.

W_ij = sum_u w_u X_ui X_uj / (r_i c_j + shrink) for a binary X, a weight of every user and a norm of every item on
either side. All entries of a block are a product of sparse matrices (SciPy's). Where a few of each row are asked for,
a row is summed into one array of the length of a row (Gustavson, "Two Fast Algorithms for Sparse Matrices", ACM TOMS
1978), and the largest are kept in a heap while its entries are read off: no entry beside them is ever stored.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from recsys.compiled import compiled
from recsys.models.parts.item_item import Rows

HALF = 2**32  # a key holds the bits of a float32 above and the rank of a column below
LAST = 2**31 - 1  # the rank of column 0: of equal values the lower column has the larger key


def co_occurrences(
    x: sp.csr_array, weight: np.ndarray, row_norm: np.ndarray, column_norm: np.ndarray, shrink: float, k: int | None
) -> Rows:
    """What gives a block of rows of W, its diagonal without meaning.

    Args:
        x: X [n_users, n_items], ones.
        weight: float64 [n_users], w; not negative.
        row_norm, column_norm: float64 [n_items], r and c; positive.
        shrink: not negative.
        k: how many of a row's largest positive entries there are in a block, beside the diagonal, in any order; of
            equal ones (in float32) those of lower columns. None gives all entries.
    """
    by_item = sp.csr_array(x.T)
    if k is None:
        weighed = sp.csr_array(sp.diags_array(weight) @ x)
        return lambda part: _all(by_item[part] @ weighed, row_norm[part], column_norm, shrink)

    def largest(part: slice) -> sp.csr_array:
        rows = part.stop - part.start
        columns, values = np.zeros((rows, k), np.int32), np.zeros((rows, k), np.float32)
        sides = by_item.indptr[part.start : part.stop + 1], by_item.indices, x.indptr, x.indices
        _largest(*sides, part.start, weight, row_norm, column_norm, float(shrink), columns, values)
        starts = np.arange(0, rows * k + 1, k, dtype=np.int32)
        return sp.csr_array((values.ravel(), columns.ravel(), starts), shape=(rows, x.shape[1]))

    return largest


def _all(shared: sp.csr_array, row_norm: np.ndarray, column_norm: np.ndarray, shrink: float) -> sp.csr_array:
    norms = column_norm[shared.indices]
    norms *= np.repeat(row_norm, np.diff(shared.indptr))
    norms += shrink
    shared.data /= norms
    return shared


@compiled()
def _largest(
    item_starts: np.ndarray,
    item_users: np.ndarray,
    user_starts: np.ndarray,
    user_items: np.ndarray,
    first: int,
    weight: np.ndarray,
    row_norm: np.ndarray,
    column_norm: np.ndarray,
    shrink: float,
    columns: np.ndarray,
    values: np.ndarray,
) -> None:
    """Fills `columns` (int32) and `values` (float32), both zeros [rows, k], from row `first` of W on."""
    n, k = len(column_norm), columns.shape[1]
    sums = np.zeros(n)
    met = np.empty(n + 1, np.int32)
    entries = np.empty(n + 1, np.float32)
    bits = entries.view(np.int32)  # positive floats are in the order of their bits
    heap = np.empty(k, np.int64)
    for row in range(len(columns)):
        count = 0
        for place in range(item_starts[row], item_starts[row + 1]):
            user = item_users[place]
            added = weight[user]
            if added == 0.0:
                continue  # a sum of 0 says that an item was not met
            for other in range(user_starts[user], user_starts[user + 1]):
                item = user_items[other]
                met[count] = item  # without a branch, which would be guessed wrongly
                count += sums[item] == 0.0
                sums[item] += added
        sums[first + row] = 0.0
        norm = row_norm[first + row]
        for place in range(count):
            item = met[place]
            entries[place] = sums[item] / (norm * column_norm[item] + shrink)
        for place in range(count):
            sums[met[place]] = 0.0
        heap[:] = HALF - 1  # above every key of a value of 0
        for place in range(count):
            key = (np.int64(bits[place]) << 32) + (LAST - met[place])
            if key <= heap[0]:
                continue
            hole, child = 0, 1
            while child < k:
                if child + 1 < k and heap[child + 1] < heap[child]:
                    child += 1
                if heap[child] >= key:
                    break
                heap[hole] = heap[child]
                hole, child = child, 2 * child + 1
            heap[hole] = key
        kept = 0
        for place in range(k):
            if heap[place] >= HALF:
                columns[row, kept] = LAST - (heap[place] & (HALF - 1))
                bits[0] = heap[place] >> 32
                values[row, kept] = entries[0]
                kept += 1
