"""Objects of JSON as columns of cells."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from augrec.artefacts.errors import DataError
from recsys.data.readers.json_records import read_records

LINES = "".join(f'{{"user": {place if place % 2 else f"{chr(34)}{place}{chr(34)}"}}}\n' for place in range(9_000))


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """The generation of each collection of garbage."""
    seen: list[int] = []

    def note(phase: str, about: dict[str, int]) -> None:
        if phase == "start":
            seen.append(about["generation"])

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


def test_no_garbage_is_looked_for_among_cells_and_then_it_is_again(collections: list[int], tmp_path: Path) -> None:
    before = len(collections)
    records = read_records(LINES.encode(), tmp_path / "x.jsonl", ["user"])
    during = len(collections) - before
    assert records.columns["user"] == [str(place) for place in range(9_000)]
    assert during <= 1, "the one that was put off"
    assert gc.isenabled()
    with pytest.raises(DataError):
        read_records(b'{"user": 1}\n[]\n', tmp_path / "x.jsonl")
    assert gc.isenabled(), "after an error, too"
