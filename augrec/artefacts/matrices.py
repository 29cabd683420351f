"""Matrices of features: `embed/<group>/<field>.npy` (float32 [n, d], row = id) and `<field>.json` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, remove_file, write_json, write_npy

SUFFIX = ".npy"
ANY_MATRIX = f"*{SUFFIX}"
"""For `glob`, in the folder of a group."""
EMBED_AGAIN = "run the stage `embed` again"


def matrix_of(stem: Path) -> Path:
    """The file with the numbers of a field."""
    return stem.parent / f"{stem.name}{SUFFIX}"


def sidecar_of(stem: Path) -> Path:
    """The JSON file of a field; it exists when the matrix is finished."""
    return stem.parent / f"{stem.name}.json"


def write_field(stem: Path, values: np.ndarray, about: dict[str, Any]) -> None:
    """Writes a matrix and its JSON, which says that the matrix is finished: an older one goes first.

    Args:
        stem: path without suffix.
        values: float32 [n, d].
        about: content of the JSON file, with `rows`, `dim` and `missing`.
    """
    remove_file(sidecar_of(stem))
    write_npy(matrix_of(stem), values)
    write_json(sidecar_of(stem), about)


def read_field(stem: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """A matrix (float32 [n, d], memory-mapped, read only) and its JSON.

    Raises:
        DataError: a file is missing or broken, or the two do not fit.
    """
    about = read_json(sidecar_of(stem), remedy="run the stage `embed` first")
    try:
        values = np.load(matrix_of(stem), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        what = f"the matrix cannot be read ({error})"
        raise DataError(what, where=matrix_of(stem), remedy=EMBED_AGAIN) from None
    if not isinstance(values, np.ndarray):
        raise DataError("the matrix is an archive of several", where=matrix_of(stem), remedy=EMBED_AGAIN)
    if values.shape != (about["rows"], about["dim"]) or values.dtype != np.float32:
        what = f"the matrix is {values.dtype} {values.shape}, its JSON says float32 ({about['rows']}, {about['dim']})"
        raise DataError(what, where=matrix_of(stem), remedy=EMBED_AGAIN)
    return values, about
