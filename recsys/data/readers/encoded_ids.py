"""Ids of many interactions as codes, so that each distinct id is held once, and as text of Arrow's alone.

A categorical column of pandas would hold each distinct id a second time, as an object of Python.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa


def encoded_ids(parts: list[pa.Array]) -> pd.Series:
    """A column of ids, given in parts as text or whole numbers without gaps.

    `parts` is emptied, so that no id is held in two ways for longer than it takes.
    """
    kind = parts[0].type if parts else pa.string()
    encoded = pa.chunked_array(parts, kind).dictionary_encode()  # one dictionary, which every part names
    parts.clear()
    codes = [chunk.indices.to_numpy() for chunk in encoded.chunks]
    names = encoded.chunk(0).dictionary if codes else pa.array([], kind)
    whole = np.concatenate(codes) if codes else np.zeros(0, np.int32)
    column = pa.DictionaryArray.from_arrays(pa.array(whole), names.cast(pa.string()))
    return pd.Series(pd.arrays.ArrowExtensionArray(column))


def codes_and_ids(column: pd.Series) -> tuple[np.ndarray, pa.Array]:
    """The code of each row and the distinct ids (text) that the codes index, of a column of ids of any kind."""
    if isinstance(column.dtype, pd.ArrowDtype) and pa.types.is_dictionary(column.dtype.pyarrow_dtype):
        held = pa.array(column)
        encoded = held.combine_chunks() if isinstance(held, pa.ChunkedArray) else held
        return encoded.indices.to_numpy(), encoded.dictionary.cast(pa.large_string())
    codes, names = pd.factorize(column)
    return codes, pa.array([str(name) for name in names], pa.large_string())
