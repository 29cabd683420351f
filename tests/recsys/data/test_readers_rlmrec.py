"""RLMRec's layout: matrices that are disjoint and of one shape, texts by id, and a split that is taken as it is."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from augrec.artefacts.errors import DataError
from recsys.data.dataset import Dataset
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare
from recsys.data.readers.registry import read
from recsys.data.released.rlmrec import read_rlmrec

PAIRS = {
    "trn": [(0, 0), (0, 3), (1, 1), (2, 2), (11, 4)],
    "val": [(0, 1), (2, 3)],
    "tst": [(1, 4), (0, 2)],
}
USERS, ITEMS = 12, 6


def matrix(pairs: list[tuple[int, int]], shape: tuple[int, int] = (USERS, ITEMS)) -> sp.coo_matrix:
    users, items = np.array(pairs).reshape(-1, 2).T
    return sp.coo_matrix((np.ones(len(pairs)), (users, items)), shape=shape)


def dump(path: Path, value: Any) -> None:
    path.write_bytes(pickle.dumps(value))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, pairs in PAIRS.items():
        dump(tmp_path / f"{name}_mat.pkl", matrix(pairs))
    dump(tmp_path / "usr_prf.pkl", {u: {"profile": f" Reads {u}.", "reasoning": ""} for u in reversed(range(USERS))})
    dump(
        tmp_path / "itm_prf.pkl", {i: {"profile": f"Book {i}."} for i in range(ITEMS) if i != 4} | {4: {"profile": ""}}
    )
    return tmp_path


def options(**changes: Any) -> DatasetOptions:
    given = {"name": "x", "source": {"format": "rlmrec", "path": "p"}, "domain": "books", "split": {"kind": "given"}}
    return DatasetOptions.model_validate(given | changes)


def test_the_split_and_the_texts_by_id(folder: Path) -> None:
    release = read_rlmrec(folder)
    dataset = release.dataset
    assert (dataset.n_users, dataset.n_items) == (USERS, ITEMS)
    for split, name in (("train", "trn"), ("valid", "val"), ("test", "tst")):
        assert dataset.pairs(split).tolist() == sorted(map(list, PAIRS[name]))
    assert list(release.user_texts) == [f"Reads {user}." for user in range(USERS)]
    assert list(release.item_texts) == ["Book 0.", "Book 1.", "Book 2.", "Book 3.", None, "Book 5."]
    assert sorted(release.files) == ["itm_prf.pkl", "trn_mat.pkl", "tst_mat.pkl", "usr_prf.pkl", "val_mat.pkl"]


def test_texts_may_be_absent(folder: Path) -> None:
    (folder / "usr_prf.pkl").unlink()
    release = read_rlmrec(folder)
    assert set(release.user_texts) == {None}
    assert "usr_prf.pkl" not in release.files


def test_stored_zeros_are_no_interactions_and_repeated_entries_are_one(folder: Path) -> None:
    repeated = sp.coo_matrix((np.array([1.0, 1.0, 0.0]), ([0, 0, 5], [1, 1, 5])), shape=(USERS, ITEMS))
    dump(folder / "val_mat.pkl", repeated)
    assert read_rlmrec(folder).dataset.valid.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("val_mat.pkl", matrix(PAIRS["val"], (USERS, 7)), r"12 x 7 and trn_mat.pkl is 12 x 6"),
        ("tst_mat.pkl", matrix([(0, 1), (1, 4)]), r"1 interactions are also in val_mat.pkl, e.g. user 0, item 1"),
        ("val_mat.pkl", matrix([(11, 4)]), r"also in trn_mat.pkl, e.g. user 11, item 4"),
        ("trn_mat.pkl", [1, 2], "expected a sparse matrix, found a list"),
        ("trn_mat.pkl", matrix([]), "no training interaction"),
        ("itm_prf.pkl", ["a"], "expected a dict"),
        ("itm_prf.pkl", {6: {"profile": "x"}}, "an id from 0 to 5"),
        ("itm_prf.pkl", {"0": {"profile": "x"}}, "an id from 0 to 5"),
        ("itm_prf.pkl", {0: {"text": "x"}}, "expected {\"profile\": text}"),
        ("usr_prf.pkl", {0: subprocess.run}, "which is refused"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_file(folder: Path, file: str, content: Any, message: str) -> None:
    dump(folder / file, content)
    with pytest.raises(DataError, match=message) as caught:
        read_rlmrec(folder)
    assert file in str(caught.value)
    assert caught.value.remedy


def test_missing_matrices_are_named(folder: Path) -> None:
    (folder / "val_mat.pkl").unlink()
    with pytest.raises(DataError, match=r"val_mat\.pkl not found"):
        read_rlmrec(folder)
    with pytest.raises(DataError, match="the folder does not exist"):
        read_rlmrec(folder / "elsewhere")


def test_a_config_can_use_it_with_its_split_and_ids_in_numeric_order(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    meta = prepare(read(options(), folder), options(), out, seed=3)
    dataset = Dataset.load(out)
    users = [0, 1, 2, 11]  # those with an interaction
    assert dataset.users["source_id"].to_pylist() == [str(user) for user in users]
    assert dataset.items["source_id"].to_pylist() == ["0", "1", "2", "3", "4"]
    assert dataset.items["profile"].to_pylist() == ["Book 0.", "Book 1.", "Book 2.", "Book 3.", None]
    assert dataset.users["profile"].to_pylist()[3] == "Reads 11."
    for split, name in (("train", "trn"), ("valid", "val"), ("test", "tst")):
        assert [(users[user], item) for user, item in dataset.pairs(split).tolist()] == sorted(PAIRS[name])
    assert meta["protocol"]["split"] == {"kind": "given", "valid": None}
    assert meta["counts"]["moved_to_train"] == 0
    assert "no licence" in meta["licence"]


def test_the_source_may_be_split_anew(folder: Path, tmp_path: Path) -> None:
    anew = options(split={"kind": "random", "ratios": [2, 2, 1]})
    prepare(read(anew, folder), anew, tmp_path / "dataset", seed=3)
    assert len(Dataset.load(tmp_path / "dataset").train) > len(PAIRS["trn"])


def test_a_given_split_needs_a_source_that_has_one(tmp_path: Path, folder: Path) -> None:
    raw = read(options(), folder)
    del raw.interactions["split"]
    with pytest.raises(DataError, match="a given split needs a source that comes with one"):
        prepare(raw, options(), tmp_path / "dataset", seed=3)
    assert not options().needs_time


def test_reading_needs_no_torch() -> None:
    code = "import sys, recsys.data.released.rlmrec, recsys.data.readers.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
