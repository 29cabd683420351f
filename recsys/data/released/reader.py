"""A folder in the layout that LLMRec's authors released, as a data set and side information.

Files and their traps: reference implementation at github.com/HKUDS/LLMRec; names have no extension where they are
Python pickles. The number of users comes from train.json alone and the number of items from text_feat.npy, as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json
from augrec.artefacts.sorted_rows import order_by
from recsys.augmentation import Edges, FeatureMatrix, SideInformation
from recsys.data.dataset import Dataset
from recsys.data.released.bounds import check_ids
from recsys.data.released.features import attribute_features, id_of, npy_features, user_features
from recsys.data.released.texts import ITEM_TABLES, table_rows
from recsys.data.released.unpickle import load, load_dict

MODALITIES = {"image": "image_feat.npy", "text": "text_feat.npy"}
LARGEST_ID = 2**62
LAYOUT = "a released folder holds train.json, test.json, val.json, train_mat, text_feat.npy and the augmented_* files"


@dataclass(frozen=True)
class Finding:
    """Something in a released file that a careful reader should know; nothing is dropped without one.

    A fault is something that the file should not hold; a note is something allowed that bears on what it shows.
    """

    file: str
    what: str
    count: int
    kind: Literal["fault", "note"] = "fault"

    def __str__(self) -> str:
        return f"{self.file}: {self.count} {self.what}"


@dataclass(frozen=True, eq=False)
class Release:
    """A released folder, checked.

    Attributes:
        dataset: the three splits; an interaction in several is kept in the first of train, test, valid.
        side: augmented edges, user "profile", item "image" and "text", and whatever attributes were embedded.
        graph: int64 [m, 2], the (user, item) pairs of train_mat, over which the reference propagates; the same as
            `dataset.train` unless a finding says otherwise.
        candidates: int64 [n_users, k], what the LLM was offered; None without the file.
        findings: what was dropped, replaced or is suspicious.
    """

    folder: Path
    dataset: Dataset
    side: SideInformation
    graph: np.ndarray
    candidates: np.ndarray | None
    findings: tuple[Finding, ...]


class Findings(list[Finding]):
    """Findings as they are made."""

    def add(self, file: str, what: str, count: int, kind: Literal["fault", "note"] = "fault") -> None:
        """Keeps the finding if there is anything to it."""
        if count:
            self.append(Finding(file, what, int(count), kind))


def read_release(folder: Path) -> Release:
    """Reads a released folder; image, profile, attribute, edge and candidate files may be absent.

    Memory stays near the size of the result (float32, equal rows once) plus one attribute.

    Raises:
        DataError: a required file is missing, or one is malformed, unsafe, or disagrees with the others.
    """
    if not folder.is_dir():
        raise DataError("the folder does not exist", where=folder, remedy=LAYOUT)
    findings = Findings()
    splits = {name: _split(folder / f"{name}.json", findings) for name in ("train", "test")}
    splits["val"] = _validation(folder / "val.json", findings)
    if not len(splits["train"][0]):
        raise DataError("there is no training interaction", where=folder / "train.json", remedy=LAYOUT)
    n_users = 1 + splits["train"][1]
    entries = sum(len(pairs) for pairs, _ in splits.values())
    check_ids(n_users, entries, "users", folder / "train.json")
    matrix = _matrix(folder / "train_mat", findings)
    item = {
        name: npy_features(folder / file, findings.add) for name, file in MODALITIES.items() if (folder / file).exists()
    }
    n_items = _n_items(folder, item, matrix, findings)
    check_ids(n_items, entries, "items", folder / MODALITIES["text"] if "text" in item else folder / "train_mat")
    _check_rows(folder, item, n_items)
    dataset = _dataset(folder, {name: pairs for name, (pairs, _) in splits.items()}, n_users, n_items, findings)
    side = SideInformation(
        edges=_optional(folder / "augmented_sample_dict", lambda path: _edges(path, dataset, findings)),
        user=user_features(folder, n_users, findings.add),
        item=item,
        attributes=attribute_features(folder, n_items, findings.add),
    )
    graph = dataset.train if matrix is None else _graph(folder / "train_mat", matrix, dataset, findings)
    candidates = _optional(folder / "candidate_indices", lambda path: _candidates(path, dataset, findings))
    return Release(folder, dataset, side, graph, candidates, tuple(findings))


def _check_rows(folder: Path, item: Mapping[str, FeatureMatrix], n_items: int) -> None:
    """Raises where features describe another number of items than text_feat.npy, which gives the number."""
    for name, matrix in item.items():
        if matrix.rows != n_items:
            raise DataError(
                f"{matrix.rows} rows of features, and {MODALITIES['text']} says that there are {n_items} items",
                where=folder / MODALITIES[name],
                remedy="use the feature files of one release, with one row per item in all of them",
            )


def _optional(path: Path, read: Callable[[Path], Any]) -> Any:
    return read(path) if path.exists() else None


def _validation(path: Path, findings: Findings) -> tuple[np.ndarray, int]:
    """As `_split`; nothing where there is no file: `split: {kind: given, valid: ...}` cuts one from training."""
    if not path.exists():
        findings.add(path.name, "file is absent; there is no validation", 1, "note")
        return np.empty((0, 2), dtype=np.int64), -1
    return _split(path, findings)


def _split(path: Path, findings: Findings) -> tuple[np.ndarray, int]:
    """The unique pairs [m, 2] of a split, and the highest user id among its keys."""
    table = read_json(path, remedy=LAYOUT)
    if not isinstance(table, dict):
        raise DataError("the file is not a JSON object of user: [items]", where=path)
    pairs: list[tuple[int, int]] = []
    highest = -1
    for key, items in table.items():
        try:
            user = int(key)
        except ValueError:
            user = -1
        if not (0 <= user < LARGEST_ID and isinstance(items, list) and all(map(_is_id, items))):
            raise DataError(
                "not a user id with a list of item ids, all of them from 0 to 2^62", where=f"{path}, key {key!r:.60}"
            )
        highest = max(highest, user)
        pairs.extend((user, item) for item in items)
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    unique = np.unique(array, axis=0)
    findings.add(path.name, "interactions occur more than once; kept once", len(array) - len(unique))
    return unique, highest


def _is_id(item: Any) -> bool:
    return type(item) is int and 0 <= item < LARGEST_ID


def _dataset(folder: Path, splits: Mapping[str, np.ndarray], n_users: int, n_items: int, findings: Findings) -> Dataset:
    beyond = splits["train"][:, 1] >= n_items
    if beyond.any():
        user, item = splits["train"][np.argmax(beyond)]
        raise DataError(
            f"item {item} has no row in text_feat.npy, which has {n_items}",
            where=f"{folder / 'train.json'}, user {user}",
            remedy="use the features and the splits of the same release",
        )
    if len(splits["val"]) and np.array_equal(splits["val"], splits["test"]):
        findings.add(
            "val.json",
            "interactions, the same as in test.json: what is selected on it has seen test",
            len(splits["val"]),
        )
    kept: dict[str, np.ndarray] = {}
    known = np.empty(0, dtype=np.int64)
    for name in ("train", "test", "val"):
        pairs = splits[name]
        inside = (pairs[:, 0] < n_users) & (pairs[:, 1] < n_items)
        findings.add(f"{name}.json", "interactions of users or items unknown to training; dropped", (~inside).sum())
        pairs = pairs[inside]
        repeated = np.isin(_keys(pairs, n_items), known)
        first = "train.json" if name == "test" else "train.json or test.json"
        findings.add(f"{name}.json", f"interactions also in {first}; dropped here", repeated.sum())
        kept[name] = pairs[~repeated]
        known = np.concatenate([known, _keys(kept[name], n_items)])
    meta = {"name": folder.name, "source": {"format": "llmrec-release", "path": str(folder)}}
    return Dataset.from_arrays(n_users, n_items, kept["train"], kept["val"], kept["test"], meta=meta)


def _keys(pairs: np.ndarray, n_items: int) -> np.ndarray:
    return pairs[:, 0] * n_items + pairs[:, 1]


def _matrix(path: Path, findings: Findings) -> sp.csr_matrix | None:
    if not path.exists():
        findings.add(path.name, "file is absent; the graph is train.json", 1, "note")
        return None
    matrix = load(path)
    if not sp.issparse(matrix):
        raise DataError(f"expected a sparse matrix, found a {type(matrix).__name__}", where=path)
    return matrix


def _n_items(folder: Path, item: Mapping[str, FeatureMatrix], matrix: sp.csr_matrix | None, findings: Findings) -> int:
    """Rows of text_feat.npy; without it, of the other features, the columns of train_mat, or the rows of a table."""
    if "text" not in item:
        findings.add(MODALITIES["text"], "file is absent; there is no text modality", 1, "note")
    if item:
        return item.get("text", next(iter(item.values()))).rows
    if matrix is not None:
        return matrix.shape[1]
    rows = table_rows(folder)
    if rows is None:
        raise DataError(
            f"neither text_feat.npy, train_mat nor {ITEM_TABLES[0]} says how many items there are",
            where=folder,
            remedy=LAYOUT,
        )
    return rows


def _graph(path: Path, matrix: sp.csr_matrix, dataset: Dataset, findings: Findings) -> np.ndarray:
    if matrix.shape != (dataset.n_users, dataset.n_items):
        raise DataError(
            f"the matrix is {matrix.shape[0]} x {matrix.shape[1]}, expected {dataset.n_users} users (train.json) x "
            f"{dataset.n_items} items (text_feat.npy)",
            where=path,
            remedy="use the files of the same release",
        )
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    findings.add(path.name, "entries are not 1; read as 1", (matrix.data != 1).sum())
    pairs = np.stack(matrix.nonzero(), axis=1).astype(np.int64)
    pairs = pairs[order_by(*pairs.T)]
    mine, theirs = _keys(dataset.train, dataset.n_items), _keys(pairs, dataset.n_items)
    findings.add(path.name, "interactions that train.json does not have", (~np.isin(theirs, mine)).sum())
    findings.add("train.json", "interactions that train_mat does not have", (~np.isin(mine, theirs)).sum())
    return pairs


def _edges(path: Path, dataset: Dataset, findings: Findings) -> Edges:
    """Triplets as the reference trainer takes them: both item ids < n_items. A negative id, which there wraps around
    to the end of the table, is dropped."""
    table = load_dict(path, "user: {0: positive, 1: negative}")
    rows, failed = [], 0
    for user, pair in table.items():
        try:
            values = (user, pair[0], pair[1])
            if any(not math.isfinite(value) for value in values):
                failed += 1
                continue
            rows.append([id_of(value, str(path)) for value in values])
        except (TypeError, KeyError, IndexError, ValueError, OverflowError):
            where = f"{path}, key {user!r:.60}"
            raise DataError("expected {0: positive item, 1: negative item}", where=where) from None
    user, positive, negative = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    below = (user < 0) | (np.minimum(positive, negative) < 0)
    beyond = ~below & ((user >= dataset.n_users) | (np.maximum(positive, negative) >= dataset.n_items))
    findings.add(path.name, "triplets failed (NaN); dropped", failed)
    findings.add(path.name, "triplets with a negative id; dropped", below.sum())
    findings.add(path.name, "triplets out of range; dropped, as the reference trainer does", beyond.sum())
    keep = ~(below | beyond)
    user, positive, negative = user[keep], positive[keep], negative[keep]
    findings.add(path.name, "triplets whose positive is their negative", (positive == negative).sum())
    findings.add(path.name, "users without a triplet", dataset.n_users - len(np.unique(user)), "note")
    for split in ("train", "valid", "test"):
        known = _keys(dataset.pairs(split), dataset.n_items)
        hits = np.isin(user * dataset.n_items + positive, known).sum()
        what = f"positives are {split} interactions" + ("" if split == "train" else ": a leak?")
        findings.add(path.name, what, hits, "note")
    return Edges.from_arrays(user, positive, negative)


def _candidates(path: Path, dataset: Dataset, findings: Findings) -> np.ndarray:
    table = load(path)
    if not isinstance(table, np.ndarray):
        try:
            table = np.asarray(table)
        except (TypeError, ValueError, OverflowError):
            raise DataError("expected integers [n_users, k], found lists of several lengths", where=path) from None
    if table.ndim != 2 or table.dtype.kind not in "iu" or len(table) != dataset.n_users:
        raise DataError(
            f"expected integers [{dataset.n_users}, k], found {table.dtype} {list(table.shape)}", where=path
        )
    table = table.astype(np.int64)
    if table.size and (table.min() < 0 or table.max() >= dataset.n_items):
        row = int(np.argmax(((table < 0) | (table >= dataset.n_items)).any(axis=1)))
        raise DataError(f"a candidate lies outside the {dataset.n_items} items", where=f"{path}, row {row}")
    keys = np.arange(dataset.n_users)[:, None] * dataset.n_items + table
    shown = np.isin(keys, _keys(dataset.train, dataset.n_items))
    findings.add(path.name, "candidates are training items of their user", shown.sum(), "note")
    return table
