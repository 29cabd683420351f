"""Pickles for other people's code, written row by row where they hold millions of numbers."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from augrec.artefacts.files import atomic_path

PROTOCOL = 4
"""Every Python since 3.4 reads it."""
BATCH = 1000
"""Numbers per APPENDS, as Python's own pickler writes lists."""
_FLOAT = np.dtype([("opcode", "u1"), ("value", ">f8")])


def write_pickle(path: Path, value: Any) -> None:
    """Writes dicts, lists, text, numbers, arrays or a sparse matrix, atomically."""
    with atomic_path(path) as temporary, temporary.open("wb") as out:
        pickle.dump(value, out, protocol=PROTOCOL)


def write_vectors(path: Path, matrices: Iterable[tuple[str, np.ndarray]]) -> None:
    """Writes {name: {row: list of floats}} without ever making a Python float.

    The released embedding dictionary has this form; a matrix of 17,366 x 1,536 is 640 MB of Python objects.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as out:
        out.write(pickle.PROTO + b"\x02" + pickle.EMPTY_DICT)
        for name, matrix in matrices:
            encoded = name.encode()
            out.write(pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded + pickle.EMPTY_DICT)
            for row, vector in enumerate(matrix):
                out.write(pickle.BININT + struct.pack("<i", row))
                _write_list(out, vector)
                out.write(pickle.SETITEM)
            out.write(pickle.SETITEM)
        out.write(pickle.STOP)


def _write_list(out: BinaryIO, vector: np.ndarray) -> None:
    out.write(pickle.EMPTY_LIST)
    records = np.empty(len(vector), dtype=_FLOAT)
    records["opcode"], records["value"] = ord(pickle.BINFLOAT), vector
    for start in range(0, len(records), BATCH):
        out.write(pickle.MARK + records[start : start + BATCH].tobytes() + pickle.APPENDS)
