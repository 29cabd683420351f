"""Lists of items with a split, as LightGCN and its successors publish them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from augrec.artefacts.errors import DataError

FILES = {"train.txt": b"0 0 1 2\n1 2\n2\n10 0 3 1\n", "test.txt": b"0 3\r\n1 0 1 \r\n\r\n2 \r\n"}


def test_lists_are_pairs_with_their_split(read_files: Callable) -> None:
    raw = read_files("lightgcn", FILES)
    assert raw.interactions.to_numpy().tolist() == [
        ["0", "0", 0], ["0", "1", 0], ["0", "2", 0], ["1", "2", 0], ["10", "0", 0], ["10", "3", 0], ["10", "1", 0],
        ["0", "3", 2], ["1", "0", 2], ["1", "1", 2],
    ]  # fmt: skip
    assert sorted(raw.files) == ["test.txt", "train.txt"]
    assert "dataset.split.valid" in raw.notes[0]
    with_valid = read_files("lightgcn", FILES | {"valid.txt": b"10 2\n"})
    assert with_valid.interactions["split"].tolist() == [0] * 7 + [1] + [2] * 3
    assert with_valid.notes == ()


def test_validation_is_cut_from_training_and_test_stays(prepared: Callable) -> None:
    dataset, _ = prepared("lightgcn", FILES, split={"kind": "given", "valid": 0.3})
    assert [len(dataset.pairs(split)) for split in ("train", "valid", "test")] == [5, 2, 3]
    assert dataset.pairs("test").tolist() == [[0, 3], [1, 0], [1, 1]]
    assert dataset.users["source_id"].to_pylist() == ["0", "1", "10"], "in order of the numbers; 2 has nothing"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train.txt": FILES["train.txt"]}, r"test\.txt not found"),
        (FILES | {"test.txt": b"0 3\n1 i5\n"}, r"'i5' is no whole number.*test\.txt:2"),
        (FILES | {"test.txt": b"0 3\n\n1 -5\n"}, r"'-5' is no whole number.*test\.txt:3"),
        (FILES | {"test.txt": b"0 99999999999999999999999\n"}, r"no whole number.*test\.txt:1"),
        (FILES | {"test.txt": b"0\n1\n"}, r"no user of the file has an item.*test\.txt"),
    ],
)
def test_a_bad_file_is_named(read_files: Callable, files: dict, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_files("lightgcn", files)
