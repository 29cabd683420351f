"""Ids of many interactions as codes, so that each distinct id is held once, and as text of Arrow's alone.

A categorical column of pandas would hold each distinct id a second time, as an object of Python.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

TOGETHER = 1 << 20
"""Ids that are held as they were read until they are encoded with those before them."""


@dataclass
class EncodedIds:
    """A column of ids that grows part by part: of the ids themselves each distinct one is held, and the last million.

    Held as a whole until it is encoded, ten million ids of 28 letters are 320 MB.
    """

    _names: pa.Array | None = None
    """The distinct ones, in the order in which they were met first."""
    _codes: list[np.ndarray] = field(default_factory=list)
    _waiting: list[pa.Array] = field(default_factory=list)
    _count: int = 0

    def add(self, ids: pa.Array) -> None:
        """Appends ids, as text or whole numbers without gaps; all parts are of one type."""
        if not len(ids):
            return
        self._waiting.append(ids)
        self._count += len(ids)
        known = 0 if self._names is None else len(self._names)
        if self._count >= max(TOGETHER, known // 4):  # the known ones are hashed again each time
            self._encode()

    def column(self) -> pd.Series:
        """Takes the column: codes and the ids that they index, as text."""
        if self._waiting:
            self._encode()
        codes = np.concatenate(self._codes) if self._codes else np.zeros(0, np.int32)
        self._codes.clear()
        names = pa.array([], pa.string()) if self._names is None else self._names.cast(pa.string())
        return pd.Series(pd.arrays.ArrowExtensionArray(pa.DictionaryArray.from_arrays(pa.array(codes), names)))

    def _encode(self) -> None:
        known = [] if self._names is None else [self._names]  # in front, so that their codes stay
        encoded = pa.chunked_array([*known, *self._waiting]).dictionary_encode()  # every part names one dictionary
        self._codes.append(np.concatenate([part.indices.to_numpy() for part in encoded.chunks[len(known) :]]))
        self._names = encoded.chunk(0).dictionary
        self._waiting.clear()
        self._count = 0


def codes_and_ids(column: pd.Series) -> tuple[np.ndarray, pa.Array]:
    """The code of each row and the distinct ids (text) that the codes index, of a column of ids of any kind."""
    if isinstance(column.dtype, pd.ArrowDtype) and pa.types.is_dictionary(column.dtype.pyarrow_dtype):
        held = pa.array(column)
        encoded = held.combine_chunks() if isinstance(held, pa.ChunkedArray) else held
        return encoded.indices.to_numpy(), encoded.dictionary.cast(pa.large_string())
    codes, names = pd.factorize(column)
    return codes, pa.array([str(name) for name in names], pa.large_string())
