"""Separated text files as columns of strings, and strings as numbers, with the line in every error."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd

from artefacts.errors import DataError


def read_text(path: Path, encoding: str) -> str:
    """The decoded file; `DataError` when it is empty or not in `encoding`."""
    try:
        text = path.read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"the file is not {encoding} (byte {error.start})", where=path, remedy="use the file as it was published"
        ) from None
    if not text.strip():
        raise DataError("the file is empty", where=path, remedy="fetch or export it again")
    return text


def read_columns(
    path: Path, separator: str, names: list[str], *, encoding: str = "utf-8", header: bool = False
) -> pd.DataFrame:
    """All fields as strings under `names`, no quoting; the index is the line number, from 1.

    Args:
        path: the file.
        separator: what stands between fields, one or more characters.
        names: one name per field; every line has exactly these.
        encoding: of the file.
        header: skip the first line.

    Raises:
        DataError: empty file, wrong encoding, or a line with another number of fields.
    """
    lines = read_text(path, encoding).rstrip("\n").split("\n")
    first = 2 if header else 1
    lines = lines[first - 1 :]
    if not lines:
        raise DataError("the file has a header and no rows", where=path, remedy="fetch or export it again")
    wanted = len(names) - 1
    for number, line in enumerate(lines, start=first):
        if line.count(separator) != wanted:
            raise DataError(
                f"expected {len(names)} fields separated by {separator!r} ({', '.join(names)}), "
                f"found {line.count(separator) + 1}",
                where=f"{path}:{number}",
                remedy="check that the format in the config is that of the file" if number <= 2 else "mend the line",
            )
    body = "\n".join(lines)
    if len(separator) > 1:  # pandas' fast parser takes one character
        body = body.replace("\t", " ").replace(separator, "\t")
    frame = pd.read_csv(
        io.StringIO(body),
        sep="\t" if len(separator) > 1 else separator,
        names=names,
        dtype=str,
        na_filter=False,
        quoting=csv.QUOTE_NONE,  # a quotation mark in a title is a character
        skip_blank_lines=False,
    )
    frame.index = pd.RangeIndex(first, first + len(frame))
    return frame


def numbers(frame: pd.DataFrame, column: str, path: Path, *, integer: bool = False) -> np.ndarray:
    """`column` as float64, or int64 when `integer`; `DataError` names the line of the first bad value.

    `frame` is indexed by line number, as `read_columns` returns it.
    """
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(values)
    if integer:
        bad |= values != np.trunc(values)
    if bad.any():
        place = int(np.argmax(bad))
        kind = "a whole number" if integer else "a number"
        raise DataError(
            f"{column} is {frame[column].iloc[place]!r}, expected {kind}",
            where=f"{path}:{frame.index[place]}",
            remedy="check that the format in the config is that of the file, or mend the line",
        )
    return values.astype(np.int64) if integer else values
