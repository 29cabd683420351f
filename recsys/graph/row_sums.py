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
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from recsys.compiled import compiled

LANES = 64  # of a vector at most: with float32 four cache lines, and four or eight vector registers
AHEAD = 32  # entries between asking for a row and adding it
LINE = 64  # bytes
_unsigned = np.uint64  # compiled, an index that may be negative costs instructions
INT32, TO_READ, KEEP, DATA = ir.IntType(32), 0, 3, 1  # the last three are what `llvm.prefetch` is told


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

    if threads == 1:
        sum_rows(0, len(out))
        return
    entries = np.add.reduce([part.pointers for part in parts], axis=0, dtype=np.int64)
    bounds = np.searchsorted(entries, np.linspace(0, entries[-1], threads + 1))
    bounds[0], bounds[-1] = 0, len(out)  # also rows without an entry are written
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda rows: sum_rows(*rows), pairwise(bounds.tolist())))


class Vector(types.Type):
    """Numbers side by side, as one value of compiled functions."""

    def __init__(self, dtype: types.Type, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, ir.VectorType(manager.lookup(kind.dtype).get_value_type(), kind.lanes))


def _address(context: Any, builder: Any, kind: types.Array, array: Any, row: Any, first: Any) -> Any:
    """Of `array[row, first]`; both are int64 or uint64."""
    held = context.make_array(kind)(context, builder, array)
    steps = cgutils.unpack_tuple(builder, held.strides)
    places = zip((row, first), steps, strict=True)
    offset = builder.add(*(builder.mul(place, step) for place, step in places))
    return builder.gep(builder.bitcast(held.data, cgutils.voidptr_t), [offset])


@intrinsic(prefer_literal=True)
def _load(_: Any, array: Any, row: Any, first: Any, lanes: Any) -> Any:
    """`array[row, first : first + lanes]`."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(signature.return_type)
        place = _address(context, builder, signature.args[0], *arguments[:3])
        return builder.load(builder.bitcast(place, kind.as_pointer()), align=array.dtype.bitwidth // 8)

    return Vector(array.dtype, lanes.literal_value)(array, types.uint64, types.uint64, lanes), write


@intrinsic
def _store(_: Any, array: Any, row: Any, first: Any, vector: Any) -> Any:
    """`array[row, first : first + lanes] = vector`."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *where, value = arguments
        place = _address(context, builder, signature.args[0], *where)
        builder.store(value, builder.bitcast(place, value.type.as_pointer()), align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64, vector), write


@intrinsic(prefer_literal=True)
def _ask_for(_: Any, array: Any, row: Any, first: Any, lanes: Any) -> Any:
    """Lets the processor fetch what `load` will read, and goes on."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _address(context, builder, signature.args[0], *arguments[:3])
        kind = ir.FunctionType(ir.VoidType(), [place.type, INT32, INT32, INT32])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        for byte in range(0, lanes.literal_value * array.dtype.bitwidth // 8, LINE):
            line = builder.gep(place, [INT32(byte)])
            builder.call(prefetch, [line, INT32(TO_READ), INT32(KEEP), INT32(DATA)])
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64, lanes), write


@intrinsic
def _scaled(_: Any, factor: Any, vector: Any) -> Any:
    """`factor * vector`."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(_repeated(builder, *arguments), arguments[1])

    return vector(factor, vector), write


@intrinsic
def _plus_scaled(_: Any, total: Any, factor: Any, vector: Any) -> Any:
    """`total + factor * vector`."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        addend, number, value = arguments
        kind = ir.FunctionType(value.type, [value.type] * 3)
        name = f"llvm.fmuladd.v{vector.lanes}f{vector.dtype.bitwidth}"
        fused = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(fused, [_repeated(builder, number, value), value, addend])

    return total(total, factor, vector), write


@intrinsic(prefer_literal=True)
def _zeros(_: Any, array: Any, lanes: Any) -> Any:
    """A vector of the array's type."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return Vector(array.dtype, lanes.literal_value)(array, lanes), write


def _repeated(builder: Any, number: Any, like: Any) -> Any:
    """The number in every lane."""
    nothing = ir.Constant(like.type, ir.Undefined)
    first = builder.insert_element(nothing, number, INT32(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(INT32, like.type.count), None))


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
            tail = _load(plus, row, width - lanes, lanes)  # before a vector is stored that overlaps it
            for place in range(0, width, lanes):
                first = min(place, width - lanes)
                total = _zeros(x, lanes)
                for entry in entries:
                    _ask_for(x, indices[min(entry + _unsigned(AHEAD), last)], first, lanes)
                    total = _plus_scaled(total, values[entry], _load(x, indices[entry], first, lanes))
                if share == 0:
                    total = _scaled(factor, total)
                else:
                    before = _load(plus, row, first, lanes) if place < width - lanes else tail
                    total = _plus_scaled(_scaled(share, before), factor, total)
                _store(out, row, first, total)

    return sum_rows
