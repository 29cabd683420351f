"""Ids that are encoded as they come are what they would be if all of them were encoded at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.readers import encoded_ids
from recsys.data.readers.encoded_ids import EncodedIds, codes_and_ids

TEXTS, NUMBERS = st.lists(st.text("ab\u00fc", max_size=2)), st.lists(st.integers(-3, 9))


@given(
    parts=st.one_of(st.lists(TEXTS, max_size=6), st.lists(NUMBERS, max_size=6)),
    together=st.sampled_from([1, 3, encoded_ids.TOGETHER]),
)
def test_codes_are_those_of_the_whole_column(parts: list[list[str]] | list[list[int]], together: int) -> None:
    kind = pa.int64() if any(isinstance(name, int) for part in parts for name in part) else pa.string()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded_ids, "TOGETHER", together)
        ids = EncodedIds()
        for part in parts:
            ids.add(pa.array(part, kind))
        codes, names = codes_and_ids(ids.column())
    expected, distinct = pd.factorize(np.array([name for part in parts for name in part], dtype=object))
    assert codes.tolist() == expected.tolist()
    assert codes.dtype == np.int32
    assert names.to_pylist() == [str(name) for name in distinct]


def test_what_was_read_is_not_held_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_ids, "TOGETHER", 1000)
    before, ids = pa.total_allocated_bytes(), EncodedIds()
    for start in range(0, 100_000, 100):
        ids.add(pa.array([f"{'A' * 200}{name % 500}" for name in range(start, start + 100)]))
    assert pa.total_allocated_bytes() - before < 1_000_000  # all of them are 20 MB
    assert len(codes_and_ids(ids.column())[1]) == 500
