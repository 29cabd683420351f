"""Matrices of features: `embed/<group>/<field>.npy` (float32 [n, d], row = id) and `<field>.json` beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.arrays import mapped_array
from augrec.artefacts.confinement import check_inside
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import atomic_path, read_json, remove_file, write_json, write_npy

SUFFIX = ".npy"
ANY_MATRIX = f"*{SUFFIX}"
"""For `glob`, in the folder of a group."""
BLOCKS = ".blocks"
ANY_BLOCKS = f"*{BLOCKS}"
"""As `ANY_MATRIX`, of the folders of fields that are not finished."""
EMBED_AGAIN = "run the stage `embed` again"


def matrix_of(stem: Path) -> Path:
    """The file with the numbers of a field."""
    return stem.parent / f"{stem.name}{SUFFIX}"


def sidecar_of(stem: Path) -> Path:
    """The JSON file of a field; it exists when the matrix is finished."""
    return stem.parent / f"{stem.name}.json"


def blocks_of(stem: Path) -> Path:
    """The folder of what is encoded so far of a field that is not finished."""
    return stem.parent / f"{stem.name}{BLOCKS}"


def forget_blocks(stem: Path) -> None:
    """Removes the blocks of a field that is finished; a link in their place is none of ours."""
    blocks = blocks_of(stem)
    if blocks.is_dir() and not blocks.is_symlink():
        check_inside(blocks)
        shutil.rmtree(blocks)


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


def write_field_in_parts(stem: Path, parts: Iterable[tuple[np.ndarray, np.ndarray]], about: dict[str, Any]) -> None:
    """As `write_field`, of a matrix that need not fit into memory.

    Args:
        stem: path without suffix.
        parts: int64 [k] rows and float32 [k, d] what stands there; rows of no part are zero.
        about: content of the JSON file, with `rows`, `dim` and `missing`.
    """
    remove_file(sidecar_of(stem))
    with atomic_path(matrix_of(stem)) as temporary:
        shape = about["rows"], about["dim"]
        values = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        for rows, part in parts:
            values[rows] = part
        values.flush()
    write_json(sidecar_of(stem), about)


def read_field(stem: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """A matrix (float32 [n, d], memory-mapped, read only) and its JSON.

    Raises:
        DataError: a file is missing or broken, or the two do not fit.
    """
    about = read_json(sidecar_of(stem), remedy="run the stage `embed` first")
    values = read_matrix(matrix_of(stem), remedy=EMBED_AGAIN)
    if values.shape != (about["rows"], about["dim"]) or values.dtype != np.float32:
        what = f"the matrix is {values.dtype} {values.shape}, its JSON says float32 ({about['rows']}, {about['dim']})"
        raise DataError(what, where=matrix_of(stem), remedy=EMBED_AGAIN)
    return values, about


def read_matrix(path: Path, *, remedy: str, rows: int | None = None) -> np.ndarray:
    """A matrix without a JSON, memory-mapped, read only.

    Args:
        path: the file.
        remedy: what to do about a file that is wrong.
        rows: how many it must have; None takes any.

    Raises:
        DataError: the file is missing or broken, or has another number of rows.
    """
    try:
        values = mapped_array(path)
    except (OSError, ValueError) as error:
        raise DataError(f"the matrix cannot be read ({error})", where=path, remedy=remedy) from None
    if rows is not None and (values.ndim != 2 or len(values) != rows):
        raise DataError(f"the matrix is {list(values.shape)}, expected {rows} rows", where=path, remedy=remedy)
    return values
