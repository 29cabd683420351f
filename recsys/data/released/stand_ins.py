"""What a released pickle may refer to: harmless stand-ins for the few NumPy, SciPy and torch names its files use.

Unpickling calls whatever the file names, with arguments from the file. An allow-list of the real functions is not
enough: `torch.storage._load_from_bytes` unpickles its argument without limits, `numpy.ndarray(shape, "O", buffer=...)`
or a tampered dtype makes pointers of bytes. So nothing here is the real thing: each stand-in takes the arguments the
real function gets in an honest file, checks them, and builds plain arrays of numbers and text.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

NUMBERS_AND_TEXT = "biufcSU"
FLAT = (None, None, None)  # dtype state: no subarray, no field names, no fields


class Refused(pickle.UnpicklingError):
    """The pickle asks for something an honest file does not contain."""


class Name:
    """A class that may be named but not called."""

    def __init__(self, name: str) -> None:
        self.name = name


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
    """The state of a `scipy.sparse` CSR or COO matrix: a dict of arrays, checked by whoever reads it."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise Refused("a sparse matrix whose state is no dict")
        self.state = {name: plain(value) for name, value in state.items() if isinstance(name, str)}


def reconstructor(cls: Any, base: Any, state: Any) -> Sparse:
    """`copyreg._reconstructor`, by which protocols 0 and 1 make a sparse matrix."""
    if cls is not Sparse or base is not OBJECT or state is not None:
        raise Refused("copyreg._reconstructor of something other than a sparse matrix")
    return Sparse()


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
    """`torch.storage._load_from_bytes`, with torch's restricted loader in place of its open one."""

    def __init__(self, raw: Any) -> None:
        import torch

        if not isinstance(raw, bytes):
            raise Refused("a torch storage that is not bytes")
        try:
            self.value = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
        except Exception as error:
            raise Refused(f"a torch storage that torch.load(weights_only=True) refuses: {error!s:.200}") from None
        if not isinstance(self.value, (torch.storage.TypedStorage, torch.storage.UntypedStorage)):
            raise Refused("a torch storage that holds something else")


def tensor(storage: Any, offset: Any, size: Any, stride: Any, *unused: Any) -> np.ndarray:
    """`torch._utils._rebuild_tensor_v2`, as an array."""
    import torch

    if not isinstance(storage, Storage) or type(offset) is not int or offset < 0:
        raise Refused("a tensor without a storage")
    untyped = getattr(storage.value, "_untyped_storage", storage.value)
    flat = torch.empty(0, dtype=getattr(storage.value, "dtype", torch.uint8))
    return flat.set_(untyped, offset, _shape(size), _shape(stride)).numpy().copy()  # set_ checks the bounds


def plain(value: Any, done: dict[int, Any] | None = None) -> Any:
    """`value` with finished arrays and dtypes in place of their stand-ins, inside dicts, lists and tuples too."""
    done = {} if done is None else done
    if isinstance(value, (Array, DType)):
        return value.value
    if not isinstance(value, (dict, list, tuple)) or id(value) in done:
        return done.get(id(value), value)
    done[id(value)] = value  # shared containers are walked once, however often they occur
    if isinstance(value, dict):
        for key in value:
            value[key] = plain(value[key], done)
    elif isinstance(value, list):
        value[:] = [plain(part, done) for part in value]
    else:
        done[id(value)] = tuple(plain(part, done) for part in value)
    return done[id(value)]


ALLOWED: dict[tuple[str, str], Name | type | Callable[..., Any]] = {
    ("numpy", "ndarray"): NDARRAY,
    ("numpy", "dtype"): DType,
    ("numpy._core.multiarray", "_reconstruct"): Array,
    ("numpy._core.multiarray", "scalar"): scalar,
    ("numpy._core.numeric", "_frombuffer"): frombuffer,
    ("scipy.sparse._csr", "csr_matrix"): Sparse,
    ("scipy.sparse._coo", "coo_matrix"): Sparse,
    ("_codecs", "encode"): encode,
    ("collections", "OrderedDict"): OrderedDict,
    ("copyreg", "_reconstructor"): reconstructor,
    ("builtins", "object"): OBJECT,
    ("builtins", "bytes"): empty_bytes,
    ("torch._utils", "_rebuild_tensor_v2"): tensor,
    ("torch.storage", "_load_from_bytes"): Storage,
}

RENAMED_MODULES = {
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
    "scipy.sparse.csr": "scipy.sparse._csr",
    "scipy.sparse.coo": "scipy.sparse._coo",
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
}
SHORT_NAMES = {
    ("scipy.sparse", "csr_matrix"): ("scipy.sparse._csr", "csr_matrix"),
    ("scipy.sparse", "coo_matrix"): ("scipy.sparse._coo", "coo_matrix"),
}
BUILDABLE = (Array, DType, Sparse)
