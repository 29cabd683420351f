"""A data set folder that Augrec wrote is read back as it is, isolated users and items too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.errors import DataError
from recsys.data.dataset import Dataset
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare
from recsys.data.readers.registry import read

ROWS = [(0, 1, "train"), (0, 3, "valid"), (0, 11, "train"), (2, 1, "train"), (2, 3, "test"), (3, 11, "train")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four users (1 is isolated), twelve items (most are isolated)."""
    folder = tmp_path / "dataset"
    folder.mkdir()
    users, items, split = zip(*ROWS, strict=True)
    table = {"user": pa.array(users, pa.int32()), "item": pa.array(items, pa.int32()), "split": list(split)}
    pq.write_table(pa.table(table), folder / "interactions.parquet")
    ids = {"item": pa.array(range(12), pa.int32()), "source_id": [str(i) for i in range(12)]}
    side = {"title": [f"T{i}" for i in range(12)], "year": pa.array([1990, None] * 6, pa.int16())}
    pq.write_table(pa.table(ids | side | {"genres": [["War"]] * 12}), folder / "items.parquet")
    pq.write_table(
        pa.table({"user": pa.array(range(4), pa.int32()), "source_id": list("abcd")}), folder / "users.parquet"
    )
    (folder / "dataset.json").write_text('{"name": "x", "licence": "mine"}')
    return folder


def prepared(folder: Path, out: Path, **options: object) -> Dataset:
    given = {"name": "again", "source": {"format": "augrec", "path": str(folder)}, "split": {"kind": "given"}}
    settings = DatasetOptions.model_validate(given | options)
    prepare(read(settings, folder), settings, out, seed=1)
    return Dataset.load(out)


def test_it_stays_the_same(folder: Path, tmp_path: Path) -> None:
    before, after = Dataset.load(folder), prepared(folder, tmp_path / "out")
    for split in ("train", "valid", "test"):
        np.testing.assert_array_equal(after.pairs(split), before.pairs(split))
    assert after.items.to_pylist() == before.items.to_pylist()
    assert after.users.to_pylist() == before.users.to_pylist()
    assert after.meta["licence"] == "mine"
    assert after.meta["dropped"]["items_without_interactions"] == 0


def test_whom_a_filter_took_is_gone(folder: Path, tmp_path: Path) -> None:
    after = prepared(folder, tmp_path / "out", k_core=2)
    assert after.users["source_id"].to_pylist() == ["a", "b", "c"]
    assert (after.n_items, after.meta["dropped"]["k_core"]) == (11, 2)


def test_another_split_may_be_asked_for(folder: Path, tmp_path: Path) -> None:
    after = prepared(folder, tmp_path / "out", split={"kind": "random"})
    assert len(after.train) + len(after.valid) + len(after.test) == len(ROWS)


def test_ids_must_be_unique(folder: Path, tmp_path: Path) -> None:
    table = pa.table({"user": pa.array(range(4), pa.int32()), "source_id": list("abba")})
    pq.write_table(table, folder / "users.parquet")
    with pytest.raises(DataError, match="not unique"):
        prepared(folder, tmp_path / "out")
    (folder / "users.parquet").unlink()
    with pytest.raises(DataError, match=r"users\.parquet not found"):
        prepared(folder, tmp_path / "out")
