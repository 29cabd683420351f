"""Numbers side by side in compiled functions: values that LLVM keeps in vector registers.

What numba makes of a loop over an array's row it mostly reads and writes in memory; a `Vector` stays where it is until
it is stored. For loops that are written with `recsys.compiled`.

Imports numba.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LINE = 64  # bytes
INT32, TO_READ, KEEP, DATA = ir.IntType(32), 0, 3, 1  # the last three are what `llvm.prefetch` is told


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
def load(_: Any, array: Any, row: Any, first: Any, lanes: Any) -> Any:
    """`array[row, first : first + lanes]`."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(signature.return_type)
        place = _address(context, builder, signature.args[0], *arguments[:3])
        return builder.load(builder.bitcast(place, kind.as_pointer()), align=array.dtype.bitwidth // 8)

    return Vector(array.dtype, lanes.literal_value)(array, types.uint64, types.uint64, lanes), write


@intrinsic
def store(_: Any, array: Any, row: Any, first: Any, vector: Any) -> Any:
    """`array[row, first : first + lanes] = vector`."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *where, value = arguments
        place = _address(context, builder, signature.args[0], *where)
        builder.store(value, builder.bitcast(place, value.type.as_pointer()), align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64, vector), write


@intrinsic(prefer_literal=True)
def ask_for(_: Any, array: Any, row: Any, first: Any, lanes: Any) -> Any:
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
def scaled(_: Any, factor: Any, vector: Any) -> Any:
    """`factor * vector`."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(_repeated(builder, *arguments), arguments[1])

    return vector(factor, vector), write


@intrinsic
def plus_scaled(_: Any, total: Any, factor: Any, vector: Any) -> Any:
    """`total + factor * vector`."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        addend, number, value = arguments
        kind = ir.FunctionType(value.type, [value.type] * 3)
        name = f"llvm.fmuladd.v{vector.lanes}f{vector.dtype.bitwidth}"
        fused = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(fused, [_repeated(builder, number, value), value, addend])

    return total(total, factor, vector), write


@intrinsic(prefer_literal=True)
def zeros(_: Any, array: Any, lanes: Any) -> Any:
    """A vector of the array's type."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return Vector(array.dtype, lanes.literal_value)(array, lanes), write


def _repeated(builder: Any, number: Any, like: Any) -> Any:
    """The number in every lane."""
    nothing = ir.Constant(like.type, ir.Undefined)
    first = builder.insert_element(nothing, number, INT32(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(INT32, like.type.count), None))
