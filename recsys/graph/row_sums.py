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
ROWS_AT_ONCE = 2**15  # whose held entries are copied out before they are multiplied: few MB, which stay near
AHEAD = 32  # entries between asking for a row and adding it
_unsigned = np.uint64  # compiled, an index that may be negative costs instructions


class Part(NamedTuple):
    """Columns of a matrix, and the entries in them in CSR form; an entry's column counts from the first of these."""

    columns: slice
    pointers: np.ndarray
    indices: np.ndarray
    values: np.ndarray


def product(
    parts: Sequence[Part],
    x: np.ndarray,
    plus: np.ndarray | None,
    scale: float,
    out: np.ndarray,
    threads: int,
    *,
    rows: np.ndarray | None = None,
    held: np.ndarray | None = None,
    given: np.ndarray | None = None,
) -> None:
    """Writes `scale * (plus + A x)` into `out`; the number of threads changes no bit.

    Rows that are left out change no bit of the others: terms of 0 are not added.

    Args:
        parts: A, cut into blocks of columns.
        x, plus, out: C-contiguous, of the type of A's values: [columns, d], and twice [rows, d], not the same.
        rows: int64 [m], ascending: the rows that are written; all where None. Not together with `held`.
        held, given: bool [columns], [rows]: which rows of x and of plus are there, all where None; others count as 0.
    """
    lanes = 1 << min(out.shape[1], LANES).bit_length() - 1
    kernel, number, count = _kernel(lanes), out.dtype.type, len(out) if rows is None else len(rows)

    def sum_rows(begin: int, end: int) -> None:
        before, there, share = (out, None, number(0)) if plus is None else (plus, given, number(scale))
        for turn, part in enumerate(parts):
            last = share, number(scale), turn > 0
            if held is None:
                kernel(*part[1:], x[part.columns], before, there, out, rows, begin, end, *last)
            else:
                for start in range(begin, end, ROWS_AT_ONCE):
                    own = slice(start, min(start + ROWS_AT_ONCE, end))
                    entries, mask = _held(part, held[part.columns], own), None if there is None else there[own]
                    kernel(*entries, x[part.columns], before[own], mask, out[own], None, 0, own.stop - start, *last)
            before, there, share = out, None, number(1)

    bounds = np.array([0, count])
    if threads > 1:
        entries = np.add.reduce([part.pointers for part in parts], axis=0, dtype=np.int64)
        if rows is not None:
            entries = np.append(0, np.cumsum(entries[rows + 1] - entries[rows]))
        bounds = np.searchsorted(entries, np.linspace(0, entries[-1], threads + 1))
        bounds[0], bounds[-1] = 0, count  # also rows without an entry are written
    shared(sum_rows, bounds.tolist())


def neighbours(pointers: np.ndarray, indices: np.ndarray, rows: np.ndarray, columns: int) -> np.ndarray:
    """bool [columns]: which of them have an entry in one of `rows` (int64 [m]) of a CSR matrix."""
    seen = np.zeros(columns, np.bool_)
    _mark(pointers, indices, rows, seen)
    return seen


@compiled()
def _mark(pointers: np.ndarray, indices: np.ndarray, rows: np.ndarray, seen: np.ndarray) -> None:
    for row in rows:
        for entry in range(pointers[row], pointers[row + 1]):
            seen[indices[entry]] = True


def _held(part: Part, held: np.ndarray, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of a part in CSR form, without the entries in columns that are not held."""
    _, pointers, indices, values = part
    size, number = int(pointers[rows.stop]) - int(pointers[rows.start]), rows.stop - rows.start + 1
    kept = np.zeros(number, pointers.dtype), np.empty(size, indices.dtype), np.empty(size, values.dtype)
    last = _keep(pointers, indices, values, held.view(np.uint8), rows.start, rows.stop, *kept)
    return kept[0], kept[1][:last], kept[2][:last]


@compiled()
def _keep(
    pointers: np.ndarray,
    indices: np.ndarray,
    values: np.ndarray,
    held: np.ndarray,
    begin: int,
    end: int,
    kept_pointers: np.ndarray,
    kept_indices: np.ndarray,
    kept_values: np.ndarray,
) -> int:
    """How many are kept. Each entry is written, over the one before if that is not kept: no branch to be guessed."""
    place, first = _unsigned(0), _unsigned(begin)
    for row in range(first, _unsigned(end)):
        for entry in range(_unsigned(pointers[row]), _unsigned(pointers[row + _unsigned(1)])):
            column = indices[entry]
            kept_indices[place], kept_values[place] = column, values[entry]
            place += _unsigned(held[_unsigned(column)])
        kept_pointers[row - first + _unsigned(1)] = place
    return int(place)


@cache
def _kernel(lanes: int) -> Callable[..., None]:

    @compiled()
    def sum_rows(
        pointers: np.ndarray,
        indices: np.ndarray,
        values: np.ndarray,
        x: np.ndarray,
        plus: np.ndarray,
        given: np.ndarray | None,
        out: np.ndarray,
        rows: np.ndarray | None,
        begin: int,
        end: int,
        share: float,
        factor: float,
        in_place: bool,
    ) -> None:
        """Rows `begin` to `end`, of those in `rows`, of `share * plus + factor * A x`; a share of 0 reads no plus.

        In place, plus is out and counts once.
        """
        last, width = _unsigned(len(indices) - 1), out.shape[1]
        for turn in range(_unsigned(begin), _unsigned(end)):
            row = turn if rows is None else _unsigned(rows[turn])
            entries = range(_unsigned(pointers[row]), _unsigned(pointers[row + _unsigned(1)]))
            if in_place and len(entries) == 0:
                continue
            alone = share == 0 or not (given is None or given[row])
            tail = load(plus, row, width - lanes, lanes)  # before a vector is stored that overlaps it
            for place in range(0, width, lanes):
                first = min(place, width - lanes)
                total = zeros(x, lanes)
                for entry in entries:
                    ask_for(x, indices[min(entry + _unsigned(AHEAD), last)], first, lanes)
                    total = plus_scaled(total, values[entry], load(x, indices[entry], first, lanes))
                if alone:
                    total = scaled(factor, total)
                else:
                    before = load(plus, row, first, lanes) if place < width - lanes else tail
                    total = plus_scaled(scaled(share, before), factor, total)
                store(out, row, first, total)

    return sum_rows
