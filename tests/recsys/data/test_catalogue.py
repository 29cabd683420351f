"""Columns of a publisher's items, whose texts are packed a part of the file at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys.data.readers import catalogue
from recsys.data.readers.catalogue import Catalogue
from recsys.data.readers.json_records import parsed_lines
from recsys.data.readers.side_columns import side_column

N = 23
COLUMNS: dict[str, Callable[[int], Any]] = {
    "title": lambda row: f"Gull {row}",
    "gaps": lambda row: [None, "", "  ", "calm\u3000sea"][row % 4],
    "nothing": lambda row: None,
    "blank": lambda row: "",
    "spaces": lambda row: " ",
    "late_number": lambda row: 7 if row == N - 1 else None,
    "numbers": lambda row: row + 0.5 if row % 3 else None,
    "text_then_number": lambda row: row if row > 15 else f"no. {row}",
    "blank_then_number": lambda row: row if row > 15 else "",
    "truth": lambda row: row % 2 == 0,
    "year": lambda row: None if row % 5 == 0 else f"{1990 + row}",
    "genres": lambda row: "Sea" if row % 2 else ["Sea", "Birds"],
    "tags": lambda row: "calm, cold",
    "empty": lambda row: ["", []][row % 2],
    "blanks": lambda row: [[], " "][row == 11],
    "vector": lambda row: [row, 1.5],
}
LISTS = ("genres", "tags", "empty", "blanks")


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    path = tmp_path_factory.mktemp("items") / "items.jsonl"
    rows = ({"id": f"i{row}", **{name: cell(row) for name, cell in COLUMNS.items()}} for row in range(N))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Catalogue(path, "id", lambda record: {name: record[name] for name in COLUMNS}, LISTS)


@pytest.mark.parametrize("together", [1, 5, 100])
def test_texts_packed_in_parts_are_what_the_whole_column_is(
    items: Catalogue, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    ((numbers, records),) = parsed_lines(items.path)

    def in_parts(_: Path) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
        for start in range(0, N, together):
            yield numbers[start : start + together], records[start : start + together]

    monkeypatch.setattr(catalogue, "parsed_lines", in_parts)
    asked = [f"i{row}" for row in range(N) if row != 3]
    found, notes = items.read("item", np.array(asked, dtype=object)), list[str]()
    expected = {"item": pd.Series(asked, dtype="str")}
    for name in COLUMNS:
        cells = [record[name] for row, record in enumerate(records) if row != 3]
        if any(cell is not None and cell not in ("", []) for cell in cells):
            expected[name] = side_column(pd.Series(cells, dtype=object, name=name), items.path, notes, LISTS)
    assert "nothing" not in expected
    assert "blank" not in expected
    assert "empty" not in expected
    assert "blanks" in expected
    assert "no tags are separated by '|'" in found.notes[-1]
    assert "spaces" in expected
    lists = {name: pd.Series(found.frame[name].tolist(), dtype=object) for name in LISTS if name in expected}
    pd.testing.assert_frame_equal(found.frame.assign(**lists), pd.DataFrame(expected))
    assert found.notes == tuple(notes)
    assert len(found.ids) == N
