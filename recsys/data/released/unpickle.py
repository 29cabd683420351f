"""Reads a pickle from a stranger: data only, and rows of numbers without a Python object per number.

An allow-list of names (see `stand_ins`), none of which is the real function, keeps files from running code. The pure
Python unpickler of the standard library does the reading because two of its steps are replaced: lists of floats become
arrays as soon as they are read (a released embedding dictionary holds 133 million floats, 4.3 GB as Python objects and
0.5 GB as float32), and runs of floats are decoded by NumPy, which also makes it faster than the C one on such files.
"""

from __future__ import annotations

import io
import mmap
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import scipy.sparse as sp

from augrec.artefacts.errors import DataError
from recsys.data.released.bounds import FEW_IDS, IDS_PER_ENTRY, memory_limit
from recsys.data.released.stand_ins import (
    ALLOWED,
    BUILDABLE,
    RENAMED_MODULES,
    SHORT_NAMES,
    Refused,
    Sparse,
    Storage,
    plain,
)
from recsys.data.released.torch_files import MAGIC, archived, stored_after_pickles

REMEDY = "use the file as its authors released it; if you made it, write plain dicts, lists and NumPy arrays of numbers"
FLOAT = np.dtype([("opcode", "u1"), ("value", ">f8")])  # BINFLOAT: 'G' and eight big-endian bytes
RUN = 1024  # picklers write lists in batches of 1000
COMPACT = 8  # shorter lists of floats stay lists
COPIES = 4  # of each byte of a file: as text, as bytes, as an array


def load(path: Path) -> Any:
    """The content of the pickle `path`: dicts, lists, tuples, text, numbers, arrays and a top-level CSR matrix.

    Lists of 8 or more floats come back as lists of float32 arrays and at most a few floats: concatenate them. A SciPy
    sparse matrix at the top comes back as a checked `csr_matrix`, a torch tensor as a read-only array. A file that
    `torch.save` wrote is read too. Memory stays within `bounds.memory_limit` of the file's size.

    Raises:
        DataError: the file is missing or broken, names anything else, or would become far larger than it is; nothing
            in it has been executed.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for, a device never ends
        raise DataError("this is no file of bytes", where=path, remedy=REMEDY)
    try:
        limit = memory_limit(path.stat().st_size)
        with path.open("rb") as source:
            if source.read(4) == b"PK\x03\x04":
                return archived(path, _read)
            with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as content:
                value = plain(_Unpickler(content).load(), limit)
        return _matrix(value, limit) if isinstance(value, Sparse) else value
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError("the file does not exist", where=path) from None
    except Refused as error:
        raise DataError(f"the pickle holds {error}, which is refused", where=path, remedy=REMEDY) from None
    except Exception as error:  # a broken pickle can fail in any way
        raise DataError(
            f"the file is not a readable pickle ({type(error).__name__}: {error!s:.200})", where=path, remedy=REMEDY
        ) from None


def load_dict(path: Path, of: str) -> dict[Any, Any]:
    """The pickle of a dict of `of` (words for the error: "user: text"); something else is a `DataError`."""
    table = load(path)
    if not isinstance(table, dict):
        raise DataError(f"expected a dict of {of}, found a {type(table).__name__}", where=path, remedy=REMEDY)
    return table


def _read(stream: BinaryIO, persistent: Callable[[Any], Any]) -> Any:
    """One pickle of those that a file of torch is made of."""
    return _Unpickler(stream, persistent).load()


def _stored(raw: Any) -> Storage:
    """`torch.storage._load_from_bytes`."""
    if not isinstance(raw, bytes):
        raise Refused("a torch storage that is not bytes")
    try:
        return stored_after_pickles(raw, _read)
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"a torch storage that cannot be read ({error!s:.200})") from None


NAMES = {**ALLOWED, ("torch.storage", "_load_from_bytes"): _stored}
_PythonUnpickler: Any = pickle._Unpickler  # type: ignore[attr-defined]


class _Unpickler(_PythonUnpickler):
    """The standard library's unpickler in Python, as joblib too uses it, with the replaced steps.

    What a step copies is paid from a budget: a file may refer to one text often, and each call with it makes another.
    """

    dispatch: ClassVar[dict[int, Any]] = dict(_PythonUnpickler.dispatch)

    def __init__(self, content: mmap.mmap | BinaryIO, persistent: Callable[[Any], Any] | None = None) -> None:
        super().__init__(content, encoding="latin1")
        self._content = content
        self._persistent = persistent
        self._budget = COPIES * (len(content) if isinstance(content, mmap.mmap) else _size(content))

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a global; anything unknown is refused by name."""
        key = (RENAMED_MODULES.get(module, module), name)
        key = SHORT_NAMES.get(key, key)
        if key not in NAMES:
            raise Refused(f"the global {module}.{name}")
        return NAMES[key]

    def get_extension(self, code: int) -> Any:
        """Extension codes stand for globals registered elsewhere in the process: refused."""
        raise Refused(f"the extension code {code}")

    def persistent_load(self, pid: Any) -> Any:
        """Persistent ids mean objects outside of the pickle: refused but where torch's files have storages."""
        if self._persistent is None:
            raise Refused("a persistent id")
        return self._persistent(pid)

    def load_build(self) -> None:
        """`BUILD` sets the state of our stand-ins only: it could change a class or a function otherwise."""
        state = self.stack.pop()
        if not isinstance(self.stack[-1], BUILDABLE):
            raise Refused(f"state for a {type(self.stack[-1]).__name__}")
        self._pay(state)
        self.stack[-1].__setstate__(state)

    def load_reduce(self) -> None:
        """A call of a stand-in."""
        self._pay(self.stack[-1])
        _PythonUnpickler.load_reduce(self)

    def _pay(self, arguments: Any) -> None:
        if isinstance(arguments, (tuple, dict)):
            flat = (len(part) for part in arguments if isinstance(part, (str, bytes, bytearray)))
            held = (len(part) for part in arguments if isinstance(part, (list, tuple, dict)))
            self._budget -= sum(flat) + 8 * sum(held) + len(arguments)
        if self._budget < 0:
            raise Refused("one value that is copied again and again")

    def load_instance(self) -> None:
        """`INST` and `OBJ` make instances of old-style classes: refused."""
        raise Refused("an instance of an old-style class")

    def load_bytearray8(self) -> None:
        """The length is compared with what is there before anything is allocated."""
        (length,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(min(length, sys.maxsize))))

    def load_binfloat(self) -> None:
        """One float, or, where a list begins with a run of floats that it ends with, all of them as one array."""
        if not self.stack:
            buffer, start = self._ahead()
            records = np.frombuffer(buffer, FLOAT, min(RUN, (len(buffer) - start) // FLOAT.itemsize), start)
            other = np.flatnonzero(records["opcode"] != ord("G"))
            run = int(other[0]) if len(other) else 0
            if run >= COMPACT and records["opcode"][run] == pickle.APPENDS[0]:
                values = records["value"][:run].astype(np.float32)
                del records
                self.read(run * FLOAT.itemsize - 1)
                self.append(values)
                return
        self.append(struct.unpack(">d", self.read(8))[0])

    def _ahead(self) -> tuple[Any, int]:
        """The buffer being read, and where in it the opcode just read stands."""
        frame = self._unframer.current_frame
        if frame is not None:
            return frame.getbuffer(), frame.tell() - 1
        if isinstance(self._content, mmap.mmap):
            return self._content, self._content.tell() - 1
        return b"", 0

    def load_appends(self) -> None:
        """Extends a list; a batch that is all floats as one float32 array."""
        items = self.pop_mark()
        target = self.stack[-1]
        if not isinstance(target, list):
            raise Refused(f"items for a {type(target).__name__}")
        if len(items) >= COMPACT and all(type(item) is float for item in items):
            items = [np.array(items, dtype=np.float32)]
        target.extend(items)

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.INST[0]] = dispatch[pickle.OBJ[0]] = load_instance
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    dispatch[pickle.BINFLOAT[0]] = load_binfloat
    dispatch[pickle.APPENDS[0]] = load_appends


def _bounded(read: Callable[[Any], None]) -> Callable[[Any], None]:
    """A step that reads an integer of any length; one beyond 64 bits is refused: as keys of a dict they can collide."""

    def step(unpickler: Any) -> None:
        read(unpickler)
        value = unpickler.stack[-1]
        if value.bit_length() > 64 and value != MAGIC:
            raise Refused(f"an integer of {value.bit_length()} bits")

    return step


for _opcode in (pickle.INT, pickle.LONG, pickle.LONG1, pickle.LONG4):
    _Unpickler.dispatch[_opcode[0]] = _bounded(_PythonUnpickler.dispatch[_opcode[0]])


def _size(stream: BinaryIO) -> int:
    here = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(here)
    return end


def _matrix(matrix: Sparse, limit: int) -> sp.csr_matrix:
    """A CSR matrix from untrusted arrays: SciPy's compiled code trusts indices, so they are checked first."""
    state = plain(matrix.state, limit)
    shape = tuple(int(size) for size in state.get("_shape", ()))
    if len(shape) != 2:
        raise Refused("a sparse matrix without a shape")
    data = _own(state["data"])
    if data.dtype.kind not in "biuf" or data.ndim != 1:
        raise Refused("a sparse matrix of something other than numbers")
    if data.dtype == np.float16:  # SciPy stores it, and computes nothing with it
        data = data.astype(np.float32)
    stored = len(data) + (len(state["indptr"]) if "indptr" in state else 0)
    if max(shape) > FEW_IDS + IDS_PER_ENTRY * stored or min(shape) < 0:
        raise Refused(f"a sparse matrix of shape {list(shape)} with {len(data)} entries")
    if "indptr" in state:
        kind = sp.csc_matrix if matrix.by_columns else sp.csr_matrix
        made = kind((data, _own(state["indices"]), _own(state["indptr"])), shape=shape)
        made.check_format(full_check=True)
        return made.tocsr()
    row, column = state["coords"] if "coords" in state else (state["row"], state["col"])
    return sp.coo_matrix((data, (_own(row), _own(column))), shape=shape).tocsr()


def _own(values: Any) -> np.ndarray:
    """A copy in this machine's byte order: what views the file cannot be written, and SciPy reads no swapped one."""
    own = np.array(values)
    return own.astype(own.dtype.newbyteorder("="), copy=False)
