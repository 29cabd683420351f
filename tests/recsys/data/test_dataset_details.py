"""Ratings, times and texts stand beside the interactions they belong to, and are read when they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet, write_json, write_parquet
from augrec.artefacts.interactions import SPLITS
from recsys.data.dataset import Dataset

N_USERS, N_ITEMS = 4, 6
COLUMNS = ("user", "item", "split", "rating", "timestamp", "review")


def rows_of(seed: int, count: int = 15) -> list[tuple]:
    """Rows in no order, every pair once, in which each value says whose it is."""
    rng = np.random.default_rng(seed)
    pairs = [divmod(int(key), N_ITEMS) for key in rng.permutation(N_USERS * N_ITEMS)[:count]]
    splits = [SPLITS[int(code)] for code in rng.integers(0, 3, count)]
    return [(u, i, split, u + i / 8, 100 * u + i, f"{u} on {i}") for (u, i), split in zip(pairs, splits, strict=True)]


def written(folder: Path, rows: list[tuple], leave_out: tuple[str, ...] = ()) -> Path:
    table = pa.table(dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))
    write_parquet(folder / "interactions.parquet", table.drop_columns(list(leave_out)))
    for name, size in (("item", N_ITEMS), ("user", N_USERS)):
        write_parquet(folder / f"{name}s.parquet", pa.table({name: pa.array(range(size), pa.int32())}))
    write_json(folder / "dataset.json", {"name": "t"})
    return folder


def in_memory(rows: list[tuple]) -> Dataset:
    parts = [[row for row in rows if row[2] == split] for split in SPLITS]
    pairs = [np.array([row[:2] for row in part], np.int64).reshape(-1, 2) for part in parts]
    details = {
        name: [[row[3 + place] for row in part] for part in parts]
        for place, name in enumerate(("ratings", "timestamps", "texts"))
    }
    return Dataset.from_arrays(N_USERS, N_ITEMS, *pairs, **details)


@given(seed=st.integers(0, 500))
def test_every_value_stands_beside_its_own_pair(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rows = rows_of(seed)
    for dataset in (Dataset.load(written(tmp_path_factory.mktemp("d"), rows)), in_memory(rows)):
        for split in SPLITS:
            pairs, texts = dataset.pairs(split), dataset.texts(split)
            ratings, times = dataset.ratings(split), dataset.timestamps(split)
            assert ratings is not None
            assert times is not None
            assert texts is not None
            assert (ratings.dtype, times.dtype) == (np.float32, np.int64)
            assert ratings.tolist() == [u + i / 8 for u, i in pairs.tolist()]
            assert times.tolist() == [100 * u + i for u, i in pairs.tolist()]
            assert texts.to_pylist() == [f"{u} on {i}" for u, i in pairs.tolist()]
            assert dataset.by_time(split).tolist() == list(range(len(pairs)))
        assert dataset.train_ratings is dataset.ratings("train")
        assert dataset.test_timestamps is dataset.timestamps("test")


def test_what_the_data_lack_is_none(tmp_path: Path) -> None:
    bare = Dataset.load(written(tmp_path, rows_of(0), leave_out=("rating", "timestamp", "review")))
    for dataset in (bare, Dataset.from_arrays(1, 2, np.array([[0, 0]]), np.empty((0, 2)), np.array([[0, 1]]))):
        for split in SPLITS:
            assert dataset.ratings(split) is None
            assert dataset.timestamps(split) is None
            assert dataset.texts(split) is None


def test_a_rating_that_one_lacks_is_nan_and_a_time_that_one_lacks_leaves_no_order(tmp_path: Path) -> None:
    rows = [(0, 0, "train", 4.0, 1, "good"), (0, 1, "train", None, None, None), (1, 0, "test", 2.0, 9, None)]
    dataset = Dataset.load(written(tmp_path, rows))
    np.testing.assert_array_equal(dataset.train_ratings, np.array([4.0, np.nan], np.float32))
    assert dataset.train_timestamps is None
    assert dataset.test_timestamps is not None
    assert dataset.texts("train").to_pylist() == ["good", None]  # type: ignore[union-attr]


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    dataset = Dataset.load(written(tmp_path, rows_of(1)))
    ratings = dataset.train_ratings
    (tmp_path / "interactions.parquet").unlink()
    assert dataset.train_ratings is ratings
    for read in (lambda: dataset.train_timestamps, lambda: dataset.texts("train"), lambda: dataset.valid_ratings):
        with pytest.raises(DataError, match=r"interactions\.parquet"):
            read()


def test_a_file_that_was_replaced_is_refused(tmp_path: Path) -> None:
    rows = rows_of(2)
    dataset = Dataset.load(written(tmp_path, rows))
    split = rows[0][2]
    written(tmp_path, rows[1:])
    with pytest.raises(DataError, match="have changed since they were read"):
        dataset.ratings(split)


def test_an_unknown_split_has_no_details() -> None:
    dataset = Dataset.from_arrays(1, 2, np.array([[0, 0]]), np.empty((0, 2)), np.empty((0, 2)))
    for read in (dataset.ratings, dataset.timestamps, dataset.texts, dataset.by_time):
        with pytest.raises(ValueError, match="train, valid, test"):
            read("dev")


def test_only_the_named_columns_and_rows_of_a_file_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, rows_of(3)) / "interactions.parquet"
    table = read_parquet(path, columns=["item", "nothing", "user"], rows=("split", ("test",)))
    assert table.column_names == ["item", "user"]
    wanted = [(row[1], row[0]) for row in rows_of(3) if row[2] == "test"]
    assert list(zip(*table.to_pydict().values(), strict=True)) == wanted
    nobody = read_parquet(path, columns=["item"], rows=("split", ("dev",)))
    assert (nobody.column_names, nobody.num_rows) == (["item"], 0)
    with pytest.raises(DataError, match="columns are missing: kind"):
        read_parquet(path, rows=("kind", ("test",)))
