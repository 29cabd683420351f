"""A folder in the layout that RLMRec's authors released: a given split, and a text for each user and item.

Files (github.com/HKUDS/RLMRec): `trn_mat.pkl`, `val_mat.pkl`, `tst_mat.pkl`, SciPy matrices [users, items] whose
nonzero entries are interactions; `usr_prf.pkl`, `itm_prf.pkl`, dicts of id -> {"profile": text, "reasoning": text} in
any order. Ids are contiguous. A system built on this data added edges that an LLM suggested to the training matrix and
released the sum, as `*trn_rag_mat.pkl`. Everything is read by the restricted unpickler; no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from augrec.artefacts.errors import DataError
from recsys.data.dataset import Dataset
from recsys.data.released.bounds import check_ids
from recsys.data.released.unpickle import load, load_dict

MATRICES = {"train": "trn_mat.pkl", "valid": "val_mat.pkl", "test": "tst_mat.pkl"}
TEXTS = {"user": "usr_prf.pkl", "item": "itm_prf.pkl"}
ADDED = "*trn_rag_mat.pkl"
REMEDY = "use the files of one release, as its authors published them"
LAYOUT = f"a folder of RLMRec's data holds {', '.join([*MATRICES.values(), *TEXTS.values()])}"


@dataclass(frozen=True, eq=False)
class RlmrecRelease:
    """A released folder, checked.

    Attributes:
        dataset: the published split; row = the release's own id.
        user_texts, item_texts: the profile of each id; None where there is none, or no file of them.
        user_reasons, item_reasons: why the profile is what it is; None where nothing says so.
        added: int64 [m, 2] of (user, item), what `ADDED` holds beyond training; None without the file.
        lost: how many training interactions that file lacks.
        files: those that were read, by name.
    """

    dataset: Dataset
    user_texts: Sequence[str | None]
    item_texts: Sequence[str | None]
    user_reasons: Sequence[str | None]
    item_reasons: Sequence[str | None]
    added: np.ndarray | None
    lost: int
    files: dict[str, Path]


def read_rlmrec(folder: Path) -> RlmrecRelease:
    """Reads a released folder; the files of texts may be absent.

    Raises:
        DataError: a matrix is missing, a file is malformed or unsafe, the matrices differ in shape, or an interaction
            is in two of them.
    """
    missing = [name for name in MATRICES.values() if not (folder / name).is_file()]
    if missing:
        what = f"{', '.join(missing)} not found" if folder.is_dir() else "the folder does not exist"
        raise DataError(what, where=folder, remedy=LAYOUT)
    matrices = {split: _matrix(folder / name) for split, name in MATRICES.items()}
    n_users, n_items = _shape(folder, matrices)
    entries = sum(matrix.nnz for matrix in matrices.values())
    for count, what in ((n_users, "users"), (n_items, "items")):
        check_ids(count, entries, what, folder / MATRICES["train"])
    pairs = {split: np.stack(matrix.nonzero(), axis=1).astype(np.int64) for split, matrix in matrices.items()}
    _check_disjoint(folder, {split: rows[:, 0] * n_items + rows[:, 1] for split, rows in pairs.items()}, n_items)
    if not len(pairs["train"]):
        raise DataError("there is no training interaction", where=folder / MATRICES["train"], remedy=REMEDY)
    present = [name for name in (*MATRICES.values(), *TEXTS.values()) if (folder / name).is_file()]
    added, lost, file = _added(folder, matrices["train"])
    meta = {"name": folder.name, "source": {"format": "rlmrec", "path": str(folder)}}
    users, items = _entries(folder / TEXTS["user"], n_users), _entries(folder / TEXTS["item"], n_items)
    return RlmrecRelease(
        Dataset.from_arrays(n_users, n_items, pairs["train"], pairs["valid"], pairs["test"], meta=meta),
        [profile for profile, _ in users],
        [profile for profile, _ in items],
        [reasoning for _, reasoning in users],
        [reasoning for _, reasoning in items],
        added,
        lost,
        {name: folder / name for name in present} | ({} if file is None else {file.name: file}),
    )


def _added(folder: Path, train: sp.csr_matrix) -> tuple[np.ndarray | None, int, Path | None]:
    """The pairs that the matrix with suggested edges has beyond training, how many it lacks, and its file."""
    found = sorted(folder.glob(ADDED))
    if not found:
        return None, 0, None
    if len(found) > 1:
        raise DataError(
            f"{len(found)} files of training with suggested edges: {', '.join(path.name for path in found)}",
            where=folder,
            remedy="keep one of them in the folder, and import each from a folder of its own",
        )
    matrix = _matrix(found[0])
    _shape(folder, {"train": train, found[0].name: matrix}, {"train": MATRICES["train"], found[0].name: found[0].name})
    more, own = (part.astype(bool) for part in (matrix, train))
    added = np.stack((more > own).nonzero(), axis=1).astype(np.int64)
    return added, int((own > more).nnz), found[0]


def _matrix(path: Path) -> sp.csr_matrix:
    matrix = load(path)
    if not sp.issparse(matrix):
        raise DataError(f"expected a sparse matrix, found a {type(matrix).__name__}", where=path, remedy=REMEDY)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _shape(folder: Path, matrices: dict[str, sp.csr_matrix], names: dict[str, str] | None = None) -> tuple[int, int]:
    names, expected = names or MATRICES, matrices["train"].shape
    for split, matrix in matrices.items():
        if matrix.shape != expected:
            raise DataError(
                f"the matrix is {matrix.shape[0]} x {matrix.shape[1]} and {MATRICES['train']} is "
                f"{expected[0]} x {expected[1]} (users x items)",
                where=folder / names[split],
                remedy=REMEDY,
            )
    return expected


def _check_disjoint(folder: Path, keys: dict[str, np.ndarray], n_items: int) -> None:
    for first, second in combinations(keys, 2):
        both = np.intersect1d(keys[first], keys[second])
        if len(both):
            user, item = divmod(int(both[0]), n_items)
            raise DataError(
                f"{len(both)} interactions are also in {MATRICES[first]}, e.g. user {user}, item {item}",
                where=folder / MATRICES[second],
                remedy=f"{REMEDY}; with a leak between splits no figure means anything",
            )


def _entries(path: Path, size: int) -> list[tuple[str | None, str | None]]:
    """Profile and reasoning of each id."""
    texts: list[tuple[str | None, str | None]] = [(None, None)] * size
    if not path.exists():
        return texts
    for key, entry in load_dict(path, "id: texts").items():
        texts[_id(key, size, path)] = _profile(entry, key, path), _reasoning(entry)
    return texts


def _id(key: Any, size: int, path: Path) -> int:
    if isinstance(key, bool) or not isinstance(key, int | np.integer) or not 0 <= key < size:
        raise DataError(f"expected an id from 0 to {size - 1}", where=f"{path}, key {key!r:.60}", remedy=REMEDY)
    return int(key)


def _profile(entry: Any, key: Any, path: Path) -> str | None:
    text = entry.get("profile") if isinstance(entry, dict) else entry
    if not isinstance(text, str):
        raise DataError('expected {"profile": text}', where=f"{path}, key {key}", remedy=REMEDY)
    return text.strip() or None


def _reasoning(entry: Any) -> str | None:
    text = entry.get("reasoning") if isinstance(entry, dict) else None
    return text.strip() or None if isinstance(text, str) else None
