"""Any result that differs between two run folders is noticed; times and what is new are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_folders import differences


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in ("augment/a/edges", "train/v/seed-1", "embed/a", "report"):
        (before / folder).mkdir(parents=True)
    rows = {"key": ["x", "y"], "task": ["edges"] * 2, "entity": [0, 1], "fields": ['{"a": 1}', None]}
    pq.write_table(pa.table(rows), before / "augment/a/edges/records.parquet")
    pq.write_table(
        pa.table({"user": [0, 1], "recall@20": [0.5, float("nan")]}), before / "train/v/seed-1/per_user.parquet"
    )
    np.save(before / "embed/a/user_profile.npy", np.eye(3, dtype=np.float32))
    metrics = {"test": {"recall@20": 0.5}, "seconds": 3.0, "history": [{"epoch": 1, "loss": 0.25, "seconds": 1.0}]}
    (before / "train/v/seed-1/metrics.json").write_text(json.dumps(metrics))
    results = {"rows": [{"variant": "v", "metric": "recall@20", "seed": 1, "value": 0.5}]}
    (before / "report/results.json").write_text(json.dumps(results))
    shutil.copytree(before, after)
    return before, after


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _rewrite(path: Path, column: str, values: list[object]) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(column), column, pa.array(values)), path)


def test_the_same_folder_twice_does_not_differ(runs: tuple[Path, Path]) -> None:
    assert differences(*runs) == []


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("augment/a/edges/records.parquet: fields",
         lambda run: _rewrite(run / "augment/a/edges/records.parquet", "fields", ['{"a": 2}', None])),
        ("augment/a/edges/records.parquet", lambda run: (run / "augment/a/edges/records.parquet").unlink()),
        ("train/v/seed-1/per_user.parquet: recall@20",
         lambda run: _rewrite(run / "train/v/seed-1/per_user.parquet", "recall@20", [0.5, 0.0])),
        ("train/v/seed-1/metrics.json: /test/recall@20",
         lambda run: _edit(run / "train/v/seed-1/metrics.json", "0.5", "0.5000001")),
        ("train/v/seed-1/metrics.json: /history/epoch=1/loss",
         lambda run: _edit(run / "train/v/seed-1/metrics.json", "0.25", "0.26")),
        ("report/results.json: /rows/metric=recall@20,seed=1,variant=v/value",
         lambda run: _edit(run / "report/results.json", "0.5", "0.4")),
        ("embed/a/user_profile.npy",
         lambda run: np.save(run / "embed/a/user_profile.npy", np.eye(3, dtype=np.float32) * 2)),
    ],
)  # fmt: skip
def test_any_changed_result_is_named(runs: tuple[Path, Path], place: str, change: Callable[[Path], object]) -> None:
    before, after = runs
    change(after)
    assert [difference.place for difference in differences(before, after)] == [place]


def test_times_keys_and_new_columns_are_no_difference(runs: tuple[Path, Path]) -> None:
    before, after = runs
    records = after / "augment/a/edges/records.parquet"
    _rewrite(records, "key", ["other", "keys"])
    pq.write_table(pq.read_table(records).append_column("question", pa.array(["", ""])), records)
    _edit(after / "train/v/seed-1/metrics.json", "3.0", "4.0")
    assert differences(before, after) == []


def test_the_order_of_rows_is_no_difference(runs: tuple[Path, Path]) -> None:
    before, after = runs
    table = pq.read_table(after / "augment/a/edges/records.parquet")
    pq.write_table(table.take([1, 0]), after / "augment/a/edges/records.parquet")
    assert differences(before, after) == []


def test_folders_without_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        differences(tmp_path, tmp_path)
