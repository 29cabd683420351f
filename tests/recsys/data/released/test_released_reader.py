"""A released folder of any size becomes a data set and side information; what is odd in it is reported."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from augrec.artefacts.errors import DataError
from recsys.data.released.reader import Release, read_release

GOLDEN = Path(__file__).parents[3] / "golden" / "llmrec" / "release"
USERS, ITEMS = 4, 6
TRAIN = {"0": [1, 2], "1": [0], "2": [5, 3], "3": [4]}


def dump(path: Path, value: Any) -> None:
    path.write_bytes(pickle.dumps(value))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, split in (("train", TRAIN), ("val", {"0": [3], "1": []}), ("test", {"0": [4], "2": [0, 1]})):
        (tmp_path / f"{name}.json").write_text(json.dumps(split))
    pairs = np.array([(int(user), item) for user, items in TRAIN.items() for item in items])
    dump(tmp_path / "train_mat", sp.csr_matrix((np.ones(len(pairs)), pairs.T), shape=(USERS, ITEMS)))
    np.save(tmp_path / "text_feat.npy", rng.normal(size=(ITEMS, 3)))
    np.save(tmp_path / "image_feat.npy", rng.normal(size=(ITEMS, 2)).astype(np.float32))
    dump(tmp_path / "augmented_sample_dict", {user: {0: user, 1: user + 1} for user in range(USERS)})
    dump(tmp_path / "augmented_user_init_embedding", {user: rng.normal(size=5) for user in range(USERS)})
    attributes = {
        "title": {item: rng.normal(size=20).tolist() for item in range(ITEMS)},
        "country": {item: [float(item % 2)] * 20 for item in range(ITEMS)},
    }
    dump(tmp_path / "augmented_atttribute_embedding_dict", attributes)
    dump(tmp_path / "candidate_indices", torch.tensor([[3, 4], [1, 2], [0, 1], [0, 1]]))
    return tmp_path


def said(release: Release) -> str:
    return "\n".join(map(str, release.findings))


def test_everything_arrives(folder: Path) -> None:
    release = read_release(folder)
    dataset, side = release.dataset, release.side
    assert (dataset.n_users, dataset.n_items) == (USERS, ITEMS)
    assert dataset.train.tolist() == [[0, 1], [0, 2], [1, 0], [2, 3], [2, 5], [3, 4]]
    assert dataset.valid.tolist() == [[0, 3]]
    assert dataset.test.tolist() == [[0, 4], [2, 0], [2, 1]]
    np.testing.assert_array_equal(release.graph, dataset.train)
    assert {name: (m.rows, m.dim) for name, m in side.item.items()} == {"image": (ITEMS, 2), "text": (ITEMS, 3)}
    assert list(side.attributes) == ["title", "country"]
    assert len(side.attributes["country"].values) == 2
    assert side.user["profile"].mask.all()
    given = pickle.loads((folder / "augmented_atttribute_embedding_dict").read_bytes())
    for name, rows in given.items():
        expected = np.array([rows[item] for item in range(ITEMS)], dtype=np.float32)
        np.testing.assert_array_equal(side.attributes[name].dense(), expected)
    assert side.edges.positive.tolist() == [0, 1, 2, 3]
    assert release.candidates.tolist() == [[3, 4], [1, 2], [0, 1], [0, 1]]
    assert said(release) == ""


@pytest.mark.parametrize(
    "absent",
    ["image_feat.npy", "text_feat.npy", "train_mat", "augmented_sample_dict", "augmented_user_init_embedding",
     "augmented_atttribute_embedding_dict", "candidate_indices"],
)  # fmt: skip
def test_optional_files(folder: Path, absent: str) -> None:
    (folder / absent).unlink()
    release = read_release(folder)
    assert release.dataset.n_items == ITEMS
    parts = {
        "image_feat.npy": list(release.side.item) == ["text"],
        "text_feat.npy": list(release.side.item) == ["image"],
        "train_mat": len(release.graph) == 6,
        "augmented_sample_dict": release.side.edges is None,
        "augmented_user_init_embedding": release.side.user == {},
        "augmented_atttribute_embedding_dict": release.side.attributes == {},
        "candidate_indices": release.candidates is None,
    }
    assert parts[absent]


def test_interactions_and_a_table_are_enough(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in ("train.json", "test.json"):
            path.unlink()
    with pytest.raises(DataError, match=r"neither text_feat.npy, train_mat nor item_attribute.csv says"):
        read_release(folder)
    (folder / "item_attribute.csv").write_text("".join(f"n{item},1999,Film\n" for item in range(ITEMS + 2)))
    release = read_release(folder)
    assert (release.dataset.n_items, len(release.dataset.train), len(release.dataset.valid)) == (ITEMS + 2, 6, 0)
    assert "val.json: 1 file is absent; there is no validation" in said(release)


@pytest.mark.parametrize("absent", ["train.json", "test.json"])
def test_required_files(folder: Path, absent: str) -> None:
    (folder / absent).unlink()
    with pytest.raises(DataError, match=absent):
        read_release(folder)


def test_triplets_are_dropped_as_the_reference_does_and_counted(folder: Path) -> None:
    triplets = {0: {0: 4, 1: 6}, 1: {0: 2, 1: -1}, 2: {0: float("nan"), 1: 3}, 3: {0: 2, 1: 2}, 9: {0: 1, 1: 2}}
    dump(folder / "augmented_sample_dict", triplets)
    release = read_release(folder)
    assert release.side.edges.user.tolist() == [3]
    text = said(release)
    assert "2 triplets out of range" in text
    assert "1 triplets with a negative id" in text
    assert "1 triplets failed (NaN)" in text
    assert "1 triplets whose positive is their negative" in text
    assert "3 users without a triplet" in text


def test_suggested_test_items_are_reported_and_kept(folder: Path) -> None:
    dump(folder / "augmented_sample_dict", {user: {0: 4, 1: 5} for user in range(USERS)})
    release = read_release(folder)
    assert "1 positives are test interactions: a leak?" in said(release)
    assert "1 positives are train interactions" in said(release)
    assert len(release.side.edges) == USERS


def test_a_graph_that_is_not_the_training_split(folder: Path) -> None:
    dump(folder / "train_mat", sp.csr_matrix((np.ones(2), ([0, 0], [1, 4])), shape=(USERS, ITEMS)))
    release = read_release(folder)
    assert "train_mat: 1 interactions that train.json does not have" in said(release)
    assert "train.json: 5 interactions that train_mat does not have" in said(release)
    assert release.graph.tolist() == [[0, 1], [0, 4]]


def test_validation_that_is_the_test_split(folder: Path) -> None:
    """As published for Netflix: whatever is in both counts as test."""
    (folder / "val.json").write_text((folder / "test.json").read_text())
    release = read_release(folder)
    assert len(release.dataset.valid) == 0
    assert len(release.dataset.test) == 3
    assert "val.json: 3 interactions also in train.json or test.json" in said(release)


def test_missing_and_broken_vectors_are_masked(folder: Path) -> None:
    dump(
        folder / "augmented_user_init_embedding",
        {0: np.ones(3), 2: np.full(3, np.nan), 7: np.ones(3), "'3'": np.ones(3)},
    )
    release = read_release(folder)
    assert release.side.user["profile"].mask.tolist() == [True, False, False, True]
    assert "1 vectors for ids outside 0..3" in said(release)
    assert "1 ids have no vector" in said(release)
    assert "1 vectors hold NaN" in said(release)


def test_candidates_as_an_array_with_training_items(folder: Path) -> None:
    dump(folder / "candidate_indices", np.array([[1, 2], [1, 2], [0, 1], [0, 1]]))
    release = read_release(folder)
    assert release.candidates.shape == (USERS, 2)
    assert "2 candidates are training items" in said(release)


def _text(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _pickle(name: str, value: Any) -> Callable[[Path], object]:
    return lambda folder: dump(folder / name, value)


BROKEN = {
    "train.json, key 'x'": _text("train.json", '{"x": [1]}'),
    "train.json, key '0'": _text("train.json", '{"0": [1.5]}'),
    "train.json, user 0": _text("train.json", '{"0": [1, 6]}'),
    "train.json": _text("train.json", '{"0": []}'),
    "val.json": _text("val.json", "[]"),
    "train_mat": _pickle("train_mat", sp.csr_matrix((3, ITEMS))),
    "text_feat.npy": lambda folder: np.save(folder / "text_feat.npy", np.array([{}] * ITEMS), allow_pickle=True),
    "image_feat.npy": lambda folder: np.save(folder / "image_feat.npy", np.ones((2, 2))),
    "key 1": _pickle("augmented_sample_dict", {1: {0: 2}}),
    "key 0": _pickle("augmented_user_init_embedding", {0: "a young man"}),
    "key 3": _pickle("augmented_user_init_embedding", {0: np.ones(2), 3: np.ones(3)}),
    "attribute 'title'": _pickle("augmented_atttribute_embedding_dict", {"title": [1]}),
    "candidate_indices, row 1": _pickle("candidate_indices", np.array([[1], [6], [0], [0]])),
    "candidate_indices": _pickle("candidate_indices", np.ones((USERS, 2))),
}


@pytest.mark.parametrize("where", BROKEN)
def test_broken_files_are_named(folder: Path, where: str) -> None:
    BROKEN[where](folder)
    with pytest.raises(DataError) as error:
        read_release(folder)
    assert where in str(error.value)


def test_features_of_another_number_of_items_are_refused_with_what_to_do_about_the_files(folder: Path) -> None:
    np.save(folder / "image_feat.npy", np.ones((ITEMS + 1, 2)))
    with pytest.raises(DataError, match=rf"{ITEMS + 1} rows of features, .* {ITEMS} items") as error:
        read_release(folder)
    assert "image_feat.npy" in str(error.value)
    assert error.value.remedy is not None
    assert "one release" in error.value.remedy


def test_memory_stays_near_the_result(folder: Path) -> None:
    """Python floats would take 32 bytes each and arrays 4."""
    items, dim = 2000, 200
    rows = np.random.default_rng(0).normal(size=(items, dim))
    (folder / "train_mat").unlink()
    (folder / "image_feat.npy").unlink()
    np.save(folder / "text_feat.npy", np.ones((items, 2)))
    attributes = {name: dict(enumerate((rows + shift).tolist())) for shift, name in enumerate("abc")}
    dump(folder / "augmented_atttribute_embedding_dict", attributes)
    del attributes
    tracemalloc.start()
    release = read_release(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    result = 3 * items * dim * 4
    assert release.side.attributes["c"].values.nbytes * 3 == result
    assert peak < 3 * result


def test_the_golden_release() -> None:
    release = read_release(GOLDEN)
    assert (release.dataset.n_users, release.dataset.n_items, len(release.dataset.train)) == (200, 150, 1384)
    assert list(release.side.attributes) == ["year", "title", "director", "country", "language"]
    assert len(release.side.edges) == 199
    assert "1 triplets out of range" in said(release)
