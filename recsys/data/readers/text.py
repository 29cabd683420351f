"""Files of a known layout as columns of strings, and strings as numbers, with the line in every error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from augrec.artefacts.errors import DataError
from recsys.data.readers.blocks import blocks
from recsys.data.readers.contents import contents
from recsys.data.readers.delimited import Layout, read_delimited
from recsys.data.readers.fields import numbers_of
from recsys.data.readers.times import Rows


def read_columns(
    path: Path, separator: str, names: list[str], *, encoding: str = "utf-8", header: bool = False, quoted: bool = False
) -> pd.DataFrame:
    """All fields as strings under `names`; the index is the line number, from 1.

    Args:
        path: the file.
        separator: what stands between fields, one or more characters.
        names: one name per field; every line has exactly these.
        encoding: of the file.
        header: skip the first line.
        quoted: fields may be quoted (RFC 4180); else a quotation mark in a title is a character. The index then counts
            rows, which are lines unless a field holds line breaks.

    Raises:
        DataError: empty file, wrong encoding, or a line with another number of fields.
    """
    layout = Layout(separator, quoted, header)
    table = read_delimited(contents(path, encoding), path, layout, names, lines=True)
    frame = table.to_pandas()
    frame.index = pd.RangeIndex(layout.first_line, layout.first_line + len(frame))
    return frame


def latin_or_utf8(path: Path) -> str:
    """The encoding of a file that was published as Latin-1 and that others may have saved as UTF-8: accents in Latin-1
    are hardly ever valid UTF-8."""
    try:
        path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def column_blocks(path: Path, separator: str, names: list[str], *, header: bool = False) -> Iterator[pd.DataFrame]:
    """What `read_columns` reads of a file without quotes, block by block, so that it may be larger than the memory."""
    for block in blocks(path):
        layout = Layout(separator, quoted=False, header=header and block.first == 1, before=block.first - 1)
        if block.data.strip():
            frame = read_delimited(block.data, path, layout, names, lines=True).to_pandas()
            frame.index = pd.RangeIndex(layout.first_line, layout.first_line + len(frame))
            yield frame


def numbers(frame: pd.DataFrame, column: str, path: Path, *, integer: bool = False) -> np.ndarray:
    """`column` as float64, or int64 when `integer`; `DataError` names the line of the first bad value.

    `frame` is indexed by line number, as `read_columns` returns it.
    """
    rows = Rows(int(frame.index[0]) if len(frame) else 1)
    kind = "a whole number" if integer else "a number"
    values = numbers_of(frame[column], path, rows, kind)
    bad = np.isnan(values)
    if integer:
        bad |= values != np.trunc(values)
    if bad.any():
        place = int(np.argmax(bad))
        raise DataError(
            f"{column} is {frame[column].iloc[place]!r}, expected {kind}",
            where=rows.where(path, place),
            remedy="check that the format in the config is that of the file, or mend the line",
        )
    return values.astype(np.int64) if integer else values
