"""What a released pickle may refer to: harmless stand-ins for the few NumPy, SciPy and torch names its files use.

Unpickling calls whatever the file names, with arguments from the file. An allow-list of the real functions is not
enough: `torch.storage._load_from_bytes` unpickles its argument without limits, `numpy.ndarray(shape, "O", buffer=...)`
or a tampered dtype makes pointers of bytes. So nothing here is the real thing: each stand-in takes the arguments the
real function gets in an honest file, checks them, and builds plain arrays of numbers and text.
"""

from __future__ import annotations

import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from augrec.artefacts.visible import without_surrogates
from recsys.data.released.bounds import DEEPEST, FEW_IDS

NUMBERS_AND_TEXT = "biufcSU"
FLAT = (None, None, None)  # dtype state: no subarray, no field names, no fields


class Refused(pickle.UnpicklingError):
    """The pickle asks for something an honest file does not contain."""


class Name:
    """A class that may be named but not called."""

    def __init__(self, name: str) -> None:
        self.name = name


DEFAULTS = tuple(Name(f"builtins.{name}") for name in ("dict", "list", "int", "float", "str"))
NDARRAY, OBJECT = Name("numpy.ndarray"), Name("builtins.object")


class DType:
    """`numpy.dtype` of numbers or text; `BUILD` may set its byte order and nothing else."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        if not isinstance(code, str) or len(code) > 16:
            raise Refused(f"a dtype named {code!r:.60}")
        self.value = _plain(np.dtype(code))

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) not in (8, 9) or tuple(state[2:5]) != FLAT:
            raise Refused("a structured dtype")
        if state[1] not in ("<", ">", "|", "="):
            raise Refused(f"byte order {state[1]!r:.20}")
        self.value = self.value.newbyteorder(state[1]) if state[1] != "|" else self.value


def _plain(dtype: np.dtype) -> np.dtype:
    if dtype.kind not in NUMBERS_AND_TEXT:
        raise Refused(f"an array of {dtype}")
    return dtype


def _dtype(value: Any) -> np.dtype:
    if not isinstance(value, DType):
        raise Refused("an array without a dtype")
    return value.value


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple) or not all(type(size) is int and size >= 0 for size in value):
        raise Refused("a shape that is no tuple of sizes")
    if len(value) > 8 or (0 in value and max(value) > FEW_IDS):
        raise Refused(f"an array of shape {str(list(value))[:60]}")  # nothing stored says how large it may be
    return value


class Array:
    """An array in the making: `numpy._core.multiarray._reconstruct` makes it empty, `BUILD` fills it."""

    def __init__(self, subtype: Any, shape: Any, code: Any) -> None:
        if subtype is not NDARRAY:
            raise Refused("a subclass of numpy.ndarray")
        self.value = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state if len(state) == 5 else (1, *state)
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw  # a Python 2 string
        self.value = frombuffer(raw, dtype, shape, "F" if fortran else "C")


def frombuffer(raw: Any, dtype: Any, shape: Any, order: Any, axis_order: Any = None) -> np.ndarray:
    """`numpy._core.numeric._frombuffer`, which protocol 5 uses."""
    if not isinstance(raw, (bytes, bytearray)):
        raise Refused("an array whose content is not bytes")
    flat = np.frombuffer(raw, dtype=_dtype(dtype))
    if order == "K" and axis_order is not None:
        return flat.reshape(_shape(shape)).transpose(_shape(axis_order))
    return flat.reshape(_shape(shape), order="F" if order == "F" else "C")


def scalar(dtype: Any, raw: Any) -> Any:
    """`numpy._core.multiarray.scalar`: one number, as a NumPy scalar."""
    raw = raw.encode("latin-1") if isinstance(raw, str) else raw
    return frombuffer(raw, dtype, (1,), "C")[0]


class Sparse:
    """The state of a `scipy.sparse` CSR or COO matrix or array: a dict of arrays, checked by whoever reads it."""

    by_columns = False

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise Refused("a sparse matrix whose state is no dict")
        self.state = {name: value for name, value in state.items() if isinstance(name, str)}


class ByColumns(Sparse):
    """That of a CSC one."""

    by_columns = True


def default_dict(*factory: Any) -> dict[Any, Any]:
    """`collections.defaultdict` as a plain dict: what is not in the file is not asked for."""
    if len(factory) > 1 or not all(kind is None or kind in DEFAULTS for kind in factory):
        raise Refused("a collections.defaultdict that computes its defaults")
    return {}


def reconstructor(cls: Any, base: Any, state: Any) -> Sparse:
    """`copyreg._reconstructor`, by which protocols 0 and 1 make a sparse matrix."""
    if cls not in (Sparse, ByColumns) or base is not OBJECT or state is not None:
        raise Refused("copyreg._reconstructor of something other than a sparse matrix")
    return Sparse() if cls is Sparse else ByColumns()


def encode(text: Any, codec: Any = "latin1") -> bytes:
    """`_codecs.encode`, by which protocol 2 writes bytes; other codecs are refused, looking one up imports code."""
    if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
        raise Refused(f"_codecs.encode with codec {codec!r:.40}")
    return text.encode("latin-1")


def empty_bytes(*arguments: Any) -> bytes:
    """`bytes()`, by which protocol 2 writes empty bytes."""
    if arguments:
        raise Refused("bytes with arguments")
    return b""


class Storage:
    """The flat numbers behind a tensor: a view of the bytes of the file."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values


class StorageType:
    """`torch.FloatStorage` and its siblings, which name the type of a storage's numbers."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def storage(self, raw: memoryview, count: int) -> Storage:
        """The storage of `count` numbers at the beginning of `raw`; all of them must be there."""
        stored = np.dtype("<u2" if self.dtype == "bfloat16" else self.dtype)
        if not 0 <= count * stored.itemsize <= len(raw):
            raise Refused(f"a torch storage of {count} numbers in {len(raw)} bytes")
        values = np.frombuffer(raw, dtype=stored, count=count) if count else np.empty(0, dtype=stored)
        if self.dtype == "bfloat16":  # the upper half of a float32
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return Storage(values)


STORAGES = {
    "Double": "<f8", "Float": "<f4", "Half": "<f2", "BFloat16": "bfloat16", "Long": "<i8", "Int": "<i4",
    "Short": "<i2", "Char": "i1", "Byte": "u1", "Bool": "?",
}  # fmt: skip


def tensor(storage: Any, offset: Any, size: Any, stride: Any, *unused: Any) -> np.ndarray:
    """`torch._utils._rebuild_tensor_v2`, as an array: a view that has no more elements than the storage."""
    if not isinstance(storage, Storage) or type(offset) is not int or offset < 0:
        raise Refused("a tensor without a storage")
    shape, steps, values = _shape(size), _shape(stride), storage.values
    if len(shape) != len(steps):
        raise Refused("a tensor whose strides do not fit its shape")
    count = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True)) if count else offset
    if count > len(values) or (count and last >= len(values)):
        raise Refused(f"a tensor of shape {list(shape)} and strides {list(steps)} over {len(values)} stored numbers")
    strides = [step * values.itemsize for step in steps]
    return as_strided(values[offset:], shape, strides, writeable=False) if count else np.empty(shape, values.dtype)


def parameter(value: Any, *unused: Any) -> Any:
    """`torch._utils._rebuild_parameter`: the tensor of a parameter."""
    if not isinstance(value, np.ndarray):
        raise Refused("a parameter without a tensor")
    return value


def plain(value: Any, limit: int) -> Any:
    """`value` with finished arrays and dtypes in place of their stand-ins, inside dicts, lists and tuples too.

    Half characters in text, which no file can be written with, become U+FFFD.

    Raises:
        Refused: it unfolds to more than `limit` bytes when every reference is followed, is nested too deep, refers to
            itself, or holds an integer beyond 64 bits.
    """
    return _Settling(limit).settle(value, 0)[0]


class _Settling:
    """One walk over what was read; shared parts are walked once, and counted as often as they occur."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._done: dict[int, tuple[Any, int]] = {}
        self._kept: list[Any] = []
        """Keeps what `_done` knows by its address."""

    def settle(self, value: Any, depth: int) -> tuple[Any, int]:
        """The plain value and its bytes, unfolded."""
        if isinstance(value, (Array, DType)):
            value = value.value
        if isinstance(value, np.ndarray):
            return value, max(value.nbytes, 8)
        if isinstance(value, str):
            return without_surrogates(value), 8 + len(value)
        if isinstance(value, bytes | bytearray):
            return value, 8 + len(value)
        if isinstance(value, int) and value.bit_length() > 64:
            raise Refused(f"an integer of {value.bit_length()} bits")
        if not isinstance(value, (dict, list, tuple)):
            return value, 8
        if id(value) not in self._done:
            if depth >= DEEPEST:
                raise Refused(f"values nested more than {DEEPEST} deep")
            self._kept.append(value)
            self._done[id(value)] = (value, -1)  # being walked
            self._done[id(value)] = self._container(value, depth + 1)
        made, size = self._done[id(value)]
        if size < 0:
            raise Refused("a value that contains itself")
        if size > self._limit:
            raise Refused(f"values that unfold to more than {self._limit} bytes, far more than the file stores")
        return made, size

    def _container(self, value: Any, depth: int) -> tuple[Any, int]:
        size = 8
        if isinstance(value, dict):
            for key in value:
                size += self.settle(key, depth)[1]
                value[key], inner = self.settle(value[key], depth)
                size += inner
            return value, size
        parts = []
        for part in value:
            made, inner = self.settle(part, depth)
            parts.append(made)
            size += inner
        if isinstance(value, list):
            value[:] = parts
            return value, size
        return tuple(parts), size


ALLOWED: dict[tuple[str, str], Name | StorageType | type | Callable[..., Any]] = {
    ("numpy", "ndarray"): NDARRAY,
    ("numpy", "dtype"): DType,
    ("numpy._core.multiarray", "_reconstruct"): Array,
    ("numpy._core.multiarray", "scalar"): scalar,
    ("numpy._core.numeric", "_frombuffer"): frombuffer,
    **{(f"scipy.sparse._{kind}", f"{kind}_{form}"): Sparse for kind in ("csr", "coo") for form in ("matrix", "array")},
    **{("scipy.sparse._csc", f"csc_{form}"): ByColumns for form in ("matrix", "array")},
    ("_codecs", "encode"): encode,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): default_dict,
    **{("builtins", kind.name.partition(".")[2]): kind for kind in DEFAULTS},
    ("copyreg", "_reconstructor"): reconstructor,
    ("builtins", "object"): OBJECT,
    ("builtins", "bytes"): empty_bytes,
    ("torch._utils", "_rebuild_tensor_v2"): tensor,
    ("torch._utils", "_rebuild_parameter"): parameter,
    **{("torch", f"{name}Storage"): StorageType(dtype) for name, dtype in STORAGES.items()},
}

RENAMED_MODULES = {
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
    "scipy.sparse.csr": "scipy.sparse._csr",
    "scipy.sparse.coo": "scipy.sparse._coo",
    "scipy.sparse.csc": "scipy.sparse._csc",
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
}
SHORT_NAMES = {
    ("scipy.sparse", f"{kind}_{form}"): (f"scipy.sparse._{kind}", f"{kind}_{form}")
    for kind in ("csr", "csc", "coo")
    for form in ("matrix", "array")
}
BUILDABLE = (Array, DType, Sparse)
