"""Reads a pickle from a stranger: data only, and rows of numbers without a Python object per number.

An allow-list of names (see `stand_ins`), none of which is the real function, keeps files from running code. The pure
Python unpickler of the standard library does the reading because two of its steps are replaced: lists of floats become
arrays as soon as they are read (a released embedding dictionary holds 133 million floats, 4.3 GB as Python objects and
0.5 GB as float32), and runs of floats are decoded by NumPy, which also makes it faster than the C one on such files.
"""

from __future__ import annotations

import mmap
import pickle
import struct
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from artefacts.errors import DataError
from recsys.data.released.stand_ins import ALLOWED, BUILDABLE, RENAMED_MODULES, SHORT_NAMES, Refused, Sparse, plain

REMEDY = "use the file as its authors released it; if you made it, write plain dicts, lists and NumPy arrays of numbers"
FLOAT = np.dtype([("opcode", "u1"), ("value", ">f8")])  # BINFLOAT: 'G' and eight big-endian bytes
RUN = 1024  # picklers write lists in batches of 1000
COMPACT = 8  # shorter lists of floats stay lists


def load(path: Path) -> Any:
    """The content of the pickle `path`: dicts, lists, tuples, text, numbers, arrays and a top-level CSR matrix.

    Lists of 8 or more floats come back as lists of float32 arrays and at most a few floats: concatenate them. A SciPy
    sparse matrix at the top comes back as a checked `csr_matrix`, a torch tensor as an array. A file written by
    `torch.save` is read too.

    Raises:
        DataError: the file is missing or broken, or names anything else; nothing in it has been executed.
    """
    try:
        with path.open("rb") as source:
            if source.read(4) == b"PK\x03\x04":
                return _torch_archive(path)
            with mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as content:
                value = plain(_Unpickler(content).load())
        return _matrix(value) if isinstance(value, Sparse) else value
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


_PythonUnpickler: Any = pickle._Unpickler  # type: ignore[attr-defined]


class _Unpickler(_PythonUnpickler):
    """The standard library's unpickler in Python, as joblib too uses it, with the replaced steps."""

    dispatch: ClassVar[dict[int, Any]] = dict(_PythonUnpickler.dispatch)

    def __init__(self, content: mmap.mmap) -> None:
        super().__init__(content, encoding="latin1")
        self._content = content

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a global; anything unknown is refused by name."""
        key = (RENAMED_MODULES.get(module, module), name)
        key = SHORT_NAMES.get(key, key)
        if key not in ALLOWED:
            raise Refused(f"the global {module}.{name}")
        return ALLOWED[key]

    def get_extension(self, code: int) -> Any:
        """Extension codes stand for globals registered elsewhere in the process: refused."""
        raise Refused(f"the extension code {code}")

    def persistent_load(self, pid: Any) -> Any:
        """Persistent ids mean objects outside of the file: refused."""
        raise Refused("a persistent id")

    def load_build(self) -> None:
        """`BUILD` sets the state of our stand-ins only: it could change a class or a function otherwise."""
        state = self.stack.pop()
        if not isinstance(self.stack[-1], BUILDABLE):
            raise Refused(f"state for a {type(self.stack[-1]).__name__}")
        self.stack[-1].__setstate__(state)

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
        if frame is None:
            return self._content, self._content.tell() - 1
        return frame.getbuffer(), frame.tell() - 1

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
    dispatch[pickle.BINFLOAT[0]] = load_binfloat
    dispatch[pickle.APPENDS[0]] = load_appends


def _matrix(matrix: Sparse) -> sp.csr_matrix:
    """A CSR matrix from untrusted arrays: SciPy's compiled code trusts indices, so they are checked first."""
    state = matrix.state
    shape = tuple(int(size) for size in state.get("_shape", ()))
    if len(shape) != 2:
        raise Refused("a sparse matrix without a shape")
    data = np.array(state["data"])  # copies: views of the file's bytes cannot be written
    if data.dtype.kind not in "biuf":
        raise Refused("a sparse matrix of something other than numbers")
    if "indptr" in state:
        made = sp.csr_matrix((data, np.array(state["indices"]), np.array(state["indptr"])), shape=shape)
        made.check_format(full_check=True)
        return made
    row, column = state["coords"] if "coords" in state else (state["row"], state["col"])
    return sp.coo_matrix((data, (np.array(row), np.array(column))), shape=shape).tocsr()


def _torch_archive(path: Path) -> np.ndarray:
    import torch

    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise Refused(f"what torch.load(weights_only=True) refuses: {error!s:.200}") from None
    if not isinstance(value, torch.Tensor):
        raise Refused(f"a {type(value).__name__} where a tensor is expected")
    return value.detach().numpy()
