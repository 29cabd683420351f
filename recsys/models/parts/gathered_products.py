"""Products with rows of a table that are read where they lie, on the CPU: compiled loops whose sums stay in registers.

`table[ids] @ weights` and the gradient of the weights. A library wants the rows in one piece first, and puts them into
an order of its own once more; here each number of a row is multiplied as it comes from memory, with 64 numbers of the
other factor, for six sums at once. Reading and multiplying overlap (docs/performance.md,
"LLMRec's step").

Sums are over one number after the other, each multiplied and added in one rounding where the processor can.

Imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from recsys.compiled import compiled, lanes_of, shared
from recsys.compiled_vectors import ask_for, load, plus_scaled, store, zeros

ROWS = 32  # whose slopes, of 64 numbers each, stay in the first cache beside the lines of as many rows of the table
AHEAD, LINE = 48, 16  # numbers of a row between asking for a line of them and reading it; numbers of a line
_unsigned = np.uint64  # compiled, an index that may be negative costs instructions


class Kernels(NamedTuple):
    """For vectors of some number of lanes."""

    project: Callable[..., None]
    add_gradient: Callable[..., None]


def project(table: np.ndarray, ids: np.ndarray, weights: np.ndarray, threads: int) -> np.ndarray:
    """`table[ids] @ weights`, float32 [m, d]; the number of threads changes no bit.

    Args:
        table: float32 [n, t].
        ids: int64 [m].
        weights: float32 [t, d], d a multiple of 16.
    """
    out = np.empty((len(ids), weights.shape[1]), np.float32)
    kernel = _kernels(lanes_of(out.shape[1])).project
    shared(lambda begin, end: kernel(table, ids[begin:end], weights, out[begin:end]), _bounds(len(ids), threads))
    return out


def add_gradient(table: np.ndarray, ids: np.ndarray, slopes: np.ndarray, total: np.ndarray, threads: int) -> None:
    """Adds `table[ids]^T @ slopes` to `total`; the number of threads changes no bit.

    Args:
        table: float32 [n, t].
        ids: int64 [m].
        slopes: float32 [m, d], d a multiple of 16.
        total: float32 [t, d].
    """
    kernel = _kernels(lanes_of(slopes.shape[1])).add_gradient
    shared(lambda begin, end: kernel(table, ids, slopes, total, begin, end), _bounds(len(total), threads))


def _bounds(size: int, threads: int) -> list[int]:
    return [size * thread // threads for thread in range(threads + 1)]


@cache
def _kernels(lanes: int) -> Kernels:

    @compiled()
    def project(table: np.ndarray, ids: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
        width, six = table.shape[1], len(ids) - 5
        for place in range(0, weights.shape[1], lanes):
            first = _unsigned(place)
            for begin in range(0, six, 6):
                row = _unsigned(begin)
                a, b = table[_unsigned(ids[begin])], table[_unsigned(ids[begin + 1])]
                c, d = table[_unsigned(ids[begin + 2])], table[_unsigned(ids[begin + 3])]
                e, f = table[_unsigned(ids[begin + 4])], table[_unsigned(ids[begin + 5])]
                of_a, of_b, of_c = zeros(weights, lanes), zeros(weights, lanes), zeros(weights, lanes)
                of_d, of_e, of_f = zeros(weights, lanes), zeros(weights, lanes), zeros(weights, lanes)
                for line in range(0, width, LINE):
                    for later in range(begin + 6, begin + 12):
                        ask_for(table, ids[min(later, len(ids) - 1)], line, LINE)
                    for k in range(_unsigned(line), _unsigned(min(line + LINE, width))):
                        factors = load(weights, k, first, lanes)
                        of_a, of_b = plus_scaled(of_a, a[k], factors), plus_scaled(of_b, b[k], factors)
                        of_c, of_d = plus_scaled(of_c, c[k], factors), plus_scaled(of_d, d[k], factors)
                        of_e, of_f = plus_scaled(of_e, e[k], factors), plus_scaled(of_f, f[k], factors)
                store(out, row, first, of_a)
                store(out, row + _unsigned(1), first, of_b)
                store(out, row + _unsigned(2), first, of_c)
                store(out, row + _unsigned(3), first, of_d)
                store(out, row + _unsigned(4), first, of_e)
                store(out, row + _unsigned(5), first, of_f)
            for rest in range(len(ids) // 6 * 6, len(ids)):
                a, of_a = table[_unsigned(ids[rest])], zeros(weights, lanes)
                for k in range(_unsigned(width)):
                    of_a = plus_scaled(of_a, a[k], load(weights, k, first, lanes))
                store(out, _unsigned(rest), first, of_a)

    @compiled()
    def add_gradient(
        table: np.ndarray, ids: np.ndarray, slopes: np.ndarray, total: np.ndarray, begin: int, end: int
    ) -> None:
        """Rows `begin` to `end` of the total."""
        for place in range(0, slopes.shape[1], lanes):
            first = _unsigned(place)
            for start in range(0, len(ids), ROWS):
                rows = range(_unsigned(start), _unsigned(min(start + ROWS, len(ids))))
                for k in range(begin, end - 5, 6):
                    a, b, c = _unsigned(k), _unsigned(k + 1), _unsigned(k + 2)
                    d, e, f = _unsigned(k + 3), _unsigned(k + 4), _unsigned(k + 5)
                    of_a, of_b = load(total, a, first, lanes), load(total, b, first, lanes)
                    of_c, of_d = load(total, c, first, lanes), load(total, d, first, lanes)
                    of_e, of_f = load(total, e, first, lanes), load(total, f, first, lanes)
                    for row in rows:
                        numbers, slope = table[_unsigned(ids[row])], load(slopes, row, first, lanes)
                        ask_for(table, ids[row], _unsigned(k + AHEAD), LINE)
                        of_a, of_b = plus_scaled(of_a, numbers[a], slope), plus_scaled(of_b, numbers[b], slope)
                        of_c, of_d = plus_scaled(of_c, numbers[c], slope), plus_scaled(of_d, numbers[d], slope)
                        of_e, of_f = plus_scaled(of_e, numbers[e], slope), plus_scaled(of_f, numbers[f], slope)
                    store(total, a, first, of_a)
                    store(total, b, first, of_b)
                    store(total, c, first, of_c)
                    store(total, d, first, of_d)
                    store(total, e, first, of_e)
                    store(total, f, first, of_f)
                for k in range(begin + (end - begin) // 6 * 6, end):
                    of_a = load(total, _unsigned(k), first, lanes)
                    for row in rows:
                        number = table[_unsigned(ids[row]), _unsigned(k)]
                        of_a = plus_scaled(of_a, number, load(slopes, row, first, lanes))
                    store(total, _unsigned(k), first, of_a)

    return Kernels(project, add_gradient)
