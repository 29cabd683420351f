"""A dataset folder that does not hold together is refused, with the file and the row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import write_json, write_parquet
from recsys.data.dataset import Dataset

ROWS = [(0, 1, 30, "train"), (0, 0, 10, "train"), (0, 2, 40, "test"), (1, 2, 5, "train"), (1, 0, 6, "valid")]


def write(folder: Path, rows: list = ROWS, n_users: int = 2, item_ids: tuple = (0, 1, 2), **drop: bool) -> Path:
    columns = dict(zip(("user", "item", "timestamp", "split"), zip(*rows, strict=True), strict=True))
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    write_parquet(folder / "interactions.parquet", table.drop_columns([name for name in drop if drop[name]]))
    write_parquet(folder / "items.parquet", pa.table({"item": pa.array(item_ids, pa.int32())}))
    write_parquet(folder / "users.parquet", pa.table({"user": pa.array(range(n_users), pa.int32())}))
    write_json(folder / "dataset.json", {"name": "t"})
    return folder


def test_load_sorts_by_id_and_keeps_the_order_of_time(tmp_path: Path) -> None:
    dataset = Dataset.load(write(tmp_path))
    assert dataset.train.tolist() == [[0, 0], [0, 1], [1, 2]]
    assert dataset.train.dtype == np.int64
    assert dataset.train[dataset.by_time("train")].tolist() == [[0, 0], [0, 1], [1, 2]]
    assert dataset.valid.tolist() == [[1, 0]]
    assert dataset.test.tolist() == [[0, 2]]
    assert dataset.popularity.tolist() == [1, 1, 1]
    assert dataset.starts("train").tolist() == [0, 2, 3]
    assert dataset.meta == {"name": "t"}


def test_history_follows_time_then_item() -> None:
    train = np.array([[0, 3], [0, 1], [1, 0], [0, 2]])
    empty = np.empty((0, 2))
    dataset = Dataset.from_arrays(2, 4, train, empty, empty, timestamps=(np.array([5, 9, 1, 5]), [], []))
    assert dataset.train[dataset.by_time("train")].tolist() == [[0, 2], [0, 3], [0, 1], [1, 0]]
    untimed = Dataset.from_arrays(2, 4, train, empty, empty)
    assert untimed.train[untimed.by_time("train")].tolist() == sorted(train.tolist())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS, (1, 7, 1, "train")], r"item id outside 0\.\.2.*interactions\.parquet, row 5"),
        ([*ROWS, (2, 0, 1, "train")], r"user id outside 0\.\.1.*row 5"),
        ([(-1, 0, 1, "train"), *ROWS], r"user id outside.*row 0"),
        ([*ROWS, (0, 1, 99, "train")], r"same user and item.*row 5"),
        ([*ROWS, (1, 2, 99, "test")], r"across splits.*row 5"),
        ([*ROWS[:3], (1, 1, 3, "dev")], r"split is none of train, valid, test.*row 3"),
    ],
)
def test_bad_interactions_are_named_by_row(tmp_path: Path, rows: list, message: str) -> None:
    with pytest.raises(DataError, match=f"(?s){message}.*augrec prepare"):
        Dataset.load(write(tmp_path, rows))


def test_gaps_in_the_side_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)item ids are not contiguous.*items\.parquet, row 1"):
        Dataset.load(write(tmp_path, item_ids=(0, 2, 3)))


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="columns are missing: split"):
        Dataset.load(write(tmp_path, split=True))
    (tmp_path / "users.parquet").unlink()
    with pytest.raises(DataError, match=r"users\.parquet"):
        Dataset.load(tmp_path)
    with pytest.raises(DataError, match=r"dataset\.json"):
        Dataset.load(tmp_path / "nowhere")


def test_arrays_are_checked_as_files_are() -> None:
    with pytest.raises(DataError, match="across splits"):
        Dataset.from_arrays(1, 2, np.array([[0, 0]]), np.array([[0, 0]]), np.empty((0, 2)))


def test_an_unknown_split_is_an_error() -> None:
    dataset = Dataset.from_arrays(1, 2, np.array([[0, 0]]), np.empty((0, 2)), np.empty((0, 2)))
    with pytest.raises(ValueError, match="train, valid, test"):
        dataset.pairs("dev")
