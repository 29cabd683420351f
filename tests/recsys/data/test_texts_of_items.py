"""Texts of items in the order of their ids: a part at a time gives what the whole gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from recsys.data import side_tables
from recsys.data.side_tables import cleaned, side_table

TITLES = ["Sea", None, " ", "Gulls & Co", "Reef"]


@pytest.mark.parametrize("part", [1, 2, 100])
@pytest.mark.parametrize("ids", [[], ["d"], ["e", "x", "c", "b", "a", "y"]])
def test_texts_stand_at_their_ids(monkeypatch: pytest.MonkeyPatch, part: int, ids: list[str]) -> None:
    monkeypatch.setattr(side_tables, "PART", part)
    side = pd.DataFrame({"item": pd.Series([*"abcde"], dtype="str"), "title": pd.Series(TITLES, dtype="str")})
    table = side_table(side, "item", np.array(ids, dtype=object))
    there = {"a": "Sea", "d": "Gulls & Co", "e": "Reef"}
    assert table["title"].to_pylist() == [there.get(item) for item in ids]
    assert table["source_id"].to_pylist() == ids
    assert table.schema.field("title").type == pa.string()
    whole, lines = cleaned(table, "item")
    assert whole.equals(table)
    assert all(column.num_chunks == 1 for column in whole.columns) or not ids
    assert lines == []


@pytest.mark.parametrize("cut", [0, 2, 3])
def test_lists_of_arrow_stand_at_their_ids_as_those_of_python_do(cut: int) -> None:
    genres = [["Sea", "Birds"], [], ["unknown"], ["Sea"], ["a", "unknown", "b"]]
    parts = [pa.array(part, pa.list_(pa.string())) for part in (genres[:cut], genres[cut:])]
    kinds = {
        "python": pd.Series(genres, dtype=object),
        "arrow": pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array(parts))),
    }
    for ids in ([*"abcde"], [*"exca"], ["c"]):
        tables = [side_table(pd.DataFrame({"item": [*"abcde"], "genres": of}), "item", np.array(ids, dtype=object))
                  for of in kinds.values()]  # fmt: skip
        assert tables[0].equals(tables[1])
        assert tables[1]["genres"].null_count == 0
        tables[1].validate(full=True)
