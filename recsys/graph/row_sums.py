"""Products of CSR matrices and dense ones on the CPU: a loop over rows, compiled, whose sum stays in registers.

A product reads one row of x for each entry, at random, and waits for nothing else. A processor reads ahead over as many
entries as its window of instructions holds, so they have to be few for each. Here 64 numbers of a row are one value,
which LLVM keeps in vector registers (what numba makes of a loop over them, it mostly does not), and the rows of entries
to come are asked for early. The terms of a sum are added in the order of the entries, each multiplied and added in one
rounding where the processor can, as MKL does, which torch calls and which takes longer (docs/performance.md, "How cost
grows").

Imports numba.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from recsys.compiled import compiled, shared
from recsys.compiled_vectors import ask_for, load, plus_scaled, scaled, store, zeros

LANES = 64  # of a vector at most: with float32 four cache lines, and four or eight vector registers
AHEAD = 32  # entries between asking for a row and adding it
_unsigned = np.uint64  # compiled, an index that may be negative costs instructions


class Part(NamedTuple):
    """Columns of a matrix, and the entries in them in CSR form; an entry's column counts from the first of these."""

    columns: slice
    pointers: np.ndarray
    indices: np.ndarray
    values: np.ndarray


def product(
    parts: Sequence[Part], x: np.ndarray, plus: np.ndarray | None, scale: float, out: np.ndarray, threads: int
) -> None:
    """Writes `scale * (plus + A x)` into `out`; the number of threads changes no bit.

    Args:
        parts: A, cut into blocks of columns.
        x, plus, out: C-contiguous, of the type of A's values: [columns, d], and twice [rows, d], not the same.
    """
    lanes = 1 << min(out.shape[1], LANES).bit_length() - 1
    kernel, number = _kernel(lanes), out.dtype.type

    def sum_rows(begin: int, end: int) -> None:
        before, share = (out, number(0)) if plus is None else (plus, number(scale))
        for columns, pointers, indices, values in parts:
            kernel(pointers, indices, values, x[columns], before, out, begin, end, share, number(scale))
            before, share = out, number(1)

    bounds = np.array([0, len(out)])
    if threads > 1:
        entries = np.add.reduce([part.pointers for part in parts], axis=0, dtype=np.int64)
        bounds = np.searchsorted(entries, np.linspace(0, entries[-1], threads + 1))
        bounds[0], bounds[-1] = 0, len(out)  # also rows without an entry are written
    shared(sum_rows, bounds.tolist())


@cache
def _kernel(lanes: int) -> Callable[..., None]:

    @compiled()
    def sum_rows(
        pointers: np.ndarray,
        indices: np.ndarray,
        values: np.ndarray,
        x: np.ndarray,
        plus: np.ndarray,
        out: np.ndarray,
        begin: int,
        end: int,
        share: float,
        factor: float,
    ) -> None:
        """Rows `begin` to `end` of `share * plus + factor * A x`; with a share of 0 plus is not read."""
        last, width = _unsigned(len(indices) - 1), out.shape[1]
        for row in range(_unsigned(begin), _unsigned(end)):
            entries = range(_unsigned(pointers[row]), _unsigned(pointers[row + _unsigned(1)]))
            tail = load(plus, row, width - lanes, lanes)  # before a vector is stored that overlaps it
            for place in range(0, width, lanes):
                first = min(place, width - lanes)
                total = zeros(x, lanes)
                for entry in entries:
                    ask_for(x, indices[min(entry + _unsigned(AHEAD), last)], first, lanes)
                    total = plus_scaled(total, values[entry], load(x, indices[entry], first, lanes))
                if share == 0:
                    total = scaled(factor, total)
                else:
                    before = load(plus, row, first, lanes) if place < width - lanes else tail
                    total = plus_scaled(scaled(share, before), factor, total)
                store(out, row, first, total)

    return sum_rows
