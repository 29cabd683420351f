"""The feature files of a released folder as float32 feature matrices with a mask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.arrays import mapped_array
from augrec.artefacts.errors import DataError
from augrec.artefacts.names import check_fields
from recsys.augmentation import FeatureMatrix
from recsys.data.released.bounds import check_dense
from recsys.data.released.unpickle import load

Report = Callable[..., None]
"""Takes file, what, count and, if it is no fault, "note"."""
PROFILE = "augmented_user_init_embedding"
STACKED_PROFILE = "augmented_user_init_embedding_final"
ATTRIBUTES = "augmented_atttribute_embedding_dict"  # three t's, as released
TAKEN = ("user_profile",)
"""What lies beside the attributes under a name of ours."""


def npy_features(path: Path, report: Report) -> FeatureMatrix:
    """One `.npy` of numbers [n, d]; pickled objects are refused."""
    try:
        array = mapped_array(path)
    except FileNotFoundError:
        raise DataError("the file does not exist", where=path) from None
    except (ValueError, OSError) as error:
        raise DataError(f"the file is not a readable .npy of numbers ({error})", where=path) from None
    if array.ndim != 2 or array.dtype.kind not in "biuf" or not array.size:  # an empty one may claim any length
        raise DataError(f"expected numbers [n, d], found {array.dtype} {list(array.shape)}", where=path)
    return _features(np.array(array, dtype=np.float32), [], path.name, report)


def user_features(folder: Path, n_users: int, report: Report) -> dict[str, FeatureMatrix]:
    """The embedded profiles as {"profile": ...}; empty where the folder has none."""
    for name in (PROFILE, STACKED_PROFILE):
        if (folder / name).exists():
            return {"profile": _rows(load(folder / name), n_users, name, folder / name, "", report)}
    report(PROFILE, "file is absent; there is no user profile", 1, "note")
    return {}


def attribute_features(folder: Path, n_items: int, report: Report) -> dict[str, FeatureMatrix]:
    """The embedded item attributes by name, in the order of the file; empty where the folder has none."""
    path = folder / ATTRIBUTES
    if not path.exists():
        report(ATTRIBUTES, "file is absent; there are no item attributes", 1, "note")
        return {}
    table = load(path)
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table):
        raise DataError("expected a dict of attribute: {item: vector}", where=path)
    check_fields(table, path, "attribute", remedy="an attribute becomes a file: give it a plain name", taken=TAKEN)
    matrices = {}
    for name in list(table):
        rows = table.pop(name)  # its memory is free once it is a matrix
        matrices[name] = _rows(rows, n_items, f"{path.name}[{name}]", path, f", attribute {name!r}", report)
    return matrices


def _rows(table: Any, n: int, label: str, path: Path, part: str, report: Report) -> FeatureMatrix:
    """A dict of id: vector, or a stacked array, as n rows; absent ids are masked, ids beyond n dropped."""
    where = f"{path}{part}"
    if isinstance(table, np.ndarray):
        table = dict(enumerate(table))
    if not isinstance(table, dict) or not table:
        raise DataError(f"expected a dict of id: vector, found {type(table).__name__}", where=where)
    dense, seen, beyond = None, np.zeros(n, dtype=np.bool_), 0
    for key in list(table):
        row, vector = id_of(key, where), _vector(table.pop(key), key, where)
        if dense is None:
            check_dense(n, len(vector), path.stat().st_size, where)
            dense = np.zeros((n, len(vector)), dtype=np.float32)
        if len(vector) != dense.shape[1]:
            raise DataError(
                f"a vector of {len(vector)} among vectors of {dense.shape[1]}", where=f"{where}, key {key!r:.60}"
            )
        if not 0 <= row < n:
            beyond += 1
            continue
        dense[row], seen[row] = vector, True
    assert dense is not None
    report(label, f"vectors for ids outside 0..{n - 1}; dropped", beyond)
    report(label, "ids have no vector; masked", int((~seen).sum()))
    return _features(dense, np.flatnonzero(~seen).tolist(), label, report)


def _features(dense: np.ndarray, missing: list[int], label: str, report: Report) -> FeatureMatrix:
    broken = np.flatnonzero(~np.isfinite(dense).all(axis=1))
    report(label, "vectors hold NaN or infinity; masked", len(broken))
    return FeatureMatrix.from_dense(dense, missing=[*missing, *broken.tolist()])


def id_of(key: Any, where: str) -> int:
    """An id that may be written as text, within quotes or not."""
    try:
        number = int(key.strip("'\" ")) if isinstance(key, str) else int(key)
        if not isinstance(key, str) and number != key:
            raise ValueError  # 1.5 is not id 1
    except (TypeError, ValueError, OverflowError):
        raise DataError("the key is not an id", where=f"{where}, key {key!r:.60}") from None
    if number.bit_length() > 62:
        raise DataError("the key is no id: it is too large", where=f"{where}, key {key!r:.60}")
    return number


def _vector(value: Any, key: Any, where: str) -> np.ndarray:
    try:
        if isinstance(value, (list, tuple)) and value:
            value = np.concatenate([np.ravel(part) for part in value])
        vector = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        vector = np.empty(0, dtype=np.float32)
    if vector.ndim != 1 or not vector.size:
        raise DataError("expected a vector of numbers", where=f"{where}, key {key!r:.60}")
    return vector
