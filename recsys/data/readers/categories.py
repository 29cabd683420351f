"""Ids of many interactions as codes, so that each distinct id is held once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa


def categories_of(parts: list[pa.Array]) -> pd.Categorical:
    """Ids, given in parts as text or whole numbers without gaps, as categories of text.

    `parts` is emptied, so that no id is held in two ways for longer than it takes.
    """
    kind = parts[0].type if parts else pa.string()
    encoded = pa.chunked_array(parts, kind).dictionary_encode()  # one dictionary, which every part names
    parts.clear()
    if not encoded.num_chunks:
        return pd.Categorical([])
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
    names = encoded.chunk(0).dictionary.cast(pa.string()).to_pandas()
    return pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype="str"), validate=False)
