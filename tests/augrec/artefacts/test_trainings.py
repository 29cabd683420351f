"""What finished trainings wrote, read back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.run_folder import RunFolder, TrainingFolder
from augrec.artefacts.trainings import read_per_user, read_training

METRICS: dict[str, Any] = {
    "variant": "base",
    "model": "lightgcn",
    "seed": 3,
    "fingerprint": "f",
    "valid": {"ndcg@20": 0.5, "recall@20": None},
    "test": {"ndcg@20": 0.25, "ndcg@5": 1},
    "deterministic": False,
    "epochs": 7,
}


@pytest.fixture
def folder(tmp_path: Path) -> TrainingFolder:
    training = RunFolder(tmp_path).training("base", 3)
    training.root.mkdir(parents=True)
    training.metrics.write_text(json.dumps(METRICS), encoding="utf-8")
    return training


def test_a_result_is_typed_and_keeps_everything(folder: TrainingFolder) -> None:
    result = read_training(folder)
    assert (result.variant, result.model, result.seed, result.fingerprint) == ("base", "lightgcn", 3, "f")
    assert result.test == {"ndcg@20": 0.25, "ndcg@5": 1.0}
    assert result.valid["ndcg@20"] == 0.5
    assert math.isnan(result.valid["recall@20"])
    assert not result.deterministic
    assert result.details == METRICS
    result.require(["ndcg@20"])
    with pytest.raises(DataError, match="'base' was not evaluated with mrr@5") as error:
        result.require(["ndcg@20", "mrr@5"])
    assert error.value.where == str(folder.metrics)


@pytest.mark.parametrize("name", ["variant", "model", "seed", "fingerprint", "valid", "test", "deterministic"])
def test_a_file_that_lacks_something_says_what(folder: TrainingFolder, name: str) -> None:
    folder.metrics.write_text(json.dumps({k: v for k, v in METRICS.items() if k != name}), encoding="utf-8")
    with pytest.raises(DataError, match=f"holds no '{name}'"):
        read_training(folder)


@pytest.mark.parametrize("change", [{"test": [1]}, {"seed": "x"}, {"valid": {"ndcg@20": "high"}}, {"test": None}])
def test_a_file_that_holds_something_else_is_an_error(folder: TrainingFolder, change: dict[str, Any]) -> None:
    folder.metrics.write_text(json.dumps(METRICS | change), encoding="utf-8")
    with pytest.raises(DataError, match="does not hold what a training writes"):
        read_training(folder)


@pytest.mark.parametrize("text", ["[]", "3", "null", "{"])
def test_what_is_no_result_is_an_error(folder: TrainingFolder, text: str) -> None:
    folder.metrics.write_text(text, encoding="utf-8")
    with pytest.raises(DataError):
        read_training(folder)


def test_an_unfinished_training_says_what_to_do(tmp_path: Path) -> None:
    training = TrainingFolder(tmp_path)
    for read in (read_training, read_per_user):
        with pytest.raises(DataError) as error:
            read(training)
        assert "run the train stage again" in (error.value.remedy or "")


def test_values_per_user_are_sorted_by_user(folder: TrainingFolder) -> None:
    table = {"user": pa.array([2, 0, 1], pa.int32()), "ndcg@20": pa.array([0.2, float("nan"), 0.1], pa.float32())}
    pq.write_table(pa.table(table), folder.per_user)
    read = read_per_user(folder)
    assert read.users.tolist() == [0, 1, 2]
    assert list(read.values) == ["ndcg@20"]
    np.testing.assert_array_equal(read.values["ndcg@20"], np.array([np.nan, 0.1, 0.2], np.float32).astype(float))


def test_which_metrics_there_are_is_known_without_reading_a_value(folder: TrainingFolder) -> None:
    pq.write_table(pa.table({"user": [0, 1], "ndcg@20": [0.1, 0.2], "recall@20": [0.3, 0.4]}), folder.per_user)
    values = read_per_user(folder).values
    folder.per_user.write_bytes(b"damaged since")
    assert values.keys() == {"ndcg@20", "recall@20"}
    assert "mrr@20" not in values
    with pytest.raises(DataError, match="not readable"):
        values["ndcg@20"]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"user": [1, 1], "ndcg@20": [0.1, 0.2]}, "a user occurs twice"),
        ({"ndcg@20": [0.1]}, "'user' is missing"),
        ({"user": [1], "ndcg@20": ["high"]}, "not numbers"),
    ],
)
def test_values_that_do_not_fit_are_errors(folder: TrainingFolder, table: dict[str, list[Any]], problem: str) -> None:
    pq.write_table(pa.table(table), folder.per_user)
    with pytest.raises(DataError, match=problem) as error:
        read_per_user(folder)
    assert error.value.where == str(folder.per_user)
