"""Feature matrices that the user brings (pictures' vectors, published features), laid out like embedded text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.array_formats import refuse_other_format
from augrec.artefacts.arrays import mapped_array
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, sha256_file
from augrec.artefacts.matrices import write_field
from embed.options import FeatureFileOptions

SHOWN = 3


def place_features(name: str, options: FeatureFileOptions, source_ids: Sequence[str], out: Path) -> dict[str, Any]:
    """Checks the matrix of one feature, brings its rows into the order of contiguous ids, and writes it to `out`.

    Args:
        name: of the feature, e.g. "image".
        options: where it is and how its rows are named.
        source_ids: the items' own ids, row = contiguous id.
        out: path without suffix, R/embed/features/<name>; gets float32 [len(source_ids), d] and a JSON file. Items
            without a row are zero and listed as missing.

    Returns:
        The content of the JSON file.

    Raises:
        DataError: the file is not a matrix of numbers, has a wrong number of rows, an id twice, or a row that is not
            finite or all zeros; it names the file and the first such row.
    """
    values = _read(options.path)
    row_ids = list(source_ids) if options.ids is None else _read_ids(options.ids)
    if len(row_ids) != len(values):
        expected = "the data set has" if options.ids is None else f"{options.ids} names"
        raise DataError(
            f"features.{name} has {len(values)} rows, {expected} {len(row_ids)} items",
            where=options.path,
            remedy="give one row per item of dataset/items.parquet, or name the rows' items in features."
            f"{name}.ids (one source id per line)",
        )
    row_of = _rows_by_id(row_ids, options.ids or options.path)
    rows = np.array([row_of.get(source_id, -1) for source_id in source_ids], dtype=np.int64)
    present = np.flatnonzero(rows >= 0)
    if not len(present):
        raise DataError(
            f"features.{name}: none of its {len(row_ids)} ids is an item of the data set (first: {row_ids[:SHOWN]})",
            where=options.ids or options.path,
            remedy="ids are those of the column source_id in dataset/items.parquet",
        )
    placed = np.zeros((len(source_ids), values.shape[1]), dtype=np.float32)
    placed[present] = values[rows[present]]
    broken = np.flatnonzero(~np.isfinite(placed).all(axis=1))
    _refuse_rows(broken, "holds NaN or infinity", "mend or leave out", name, options, rows)
    zero = np.flatnonzero((rows >= 0) & ~placed.any(axis=1))
    if options.zero_rows == "error":
        remedy = f"set features.{name}.zero_rows: missing if zeros mean that there is no vector, or mend"
        _refuse_rows(zero, "is all zeros", remedy, name, options, rows)
    written = {
        "field": name,
        "group": out.parent.name,
        "rows": len(placed),
        "dim": placed.shape[1],
        "missing": sorted({*np.flatnonzero(rows < 0).tolist(), *zero.tolist()}),
        "unused": len(row_ids) - len(present),
        "source": str(options.path),
        "source_sha256": sha256_file(options.path),
        "ids_sha256": digest(list(source_ids)),
    }
    write_field(out, placed, written)
    return written


def _read(path: Path) -> np.ndarray:
    try:
        refuse_other_format(path)
        values = mapped_array(path)
    except FileNotFoundError:
        raise DataError("the feature file does not exist", where=path, remedy="check features in the config") from None
    except (OSError, ValueError) as error:
        raise DataError(
            f"the feature file cannot be read ({error})",
            where=path,
            remedy="save it with numpy.save, without pickled objects",
        ) from None
    if values.ndim != 2 or values.dtype.kind not in "fiu" or not values.size:
        raise DataError(f"features must be one matrix of numbers [n, d], not {values.dtype} {values.shape}", where=path)
    return values


def _read_ids(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except FileNotFoundError:
        raise DataError("the file of ids does not exist", where=path, remedy="check features in the config") from None
    except UnicodeDecodeError:
        raise DataError("the file of ids is not UTF-8 text", where=path) from None


def _rows_by_id(row_ids: Sequence[str], path: Path) -> dict[str, int]:
    row_of: dict[str, int] = {}
    for row, source_id in enumerate(row_ids):
        if row_of.setdefault(source_id, row) != row:
            raise DataError(
                f"the id '{source_id}' names rows {row_of[source_id]} and {row} (from 0)",
                where=path,
                remedy="keep one row per item",
            )
    return row_of


def _refuse_rows(
    bad: np.ndarray, what: str, remedy: str, name: str, options: FeatureFileOptions, rows: np.ndarray
) -> None:
    if len(bad):
        first = int(rows[bad[0]])
        raise DataError(
            f"features.{name}: row {first} (from 0) {what}, as do {len(bad) - 1} others",
            where=options.path,
            remedy=f"{remedy} these rows",
        )
