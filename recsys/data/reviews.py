"""Reviews on their way from the order of the source to that of interactions.parquet, without all of them in memory.

They are laid down one after the other in a file beside the result, which has no name any more, and picked up from it a
part at a time. What is held is where each begins: 12 bytes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from augrec.artefacts.files import atomic_path
from augrec.artefacts.interactions import DETAILS
from recsys.data.dataset_files import decoded
from recsys.data.markup import blank_is_null, without_markup

PART, PART_BYTES = 65_536, 4 << 20
"""Interactions written at a time: at most so many, and so many bytes of reviews, but one at least."""


def write_reviewed(path: Path, interactions: pa.Table, reviews: Iterable[str | None], places: np.ndarray) -> int:
    """Writes the interactions with a column `review` before the last one, atomically.

    Args:
        path: the Parquet file.
        interactions: m rows; codes into texts are written as text.
        reviews: m texts, None where nothing was written; HTML in them is removed.
        places: int [m], the row that each of them belongs to.

    Returns:
        How many of them held HTML.
    """
    kind, last = DETAILS["review"], interactions.num_columns - 1
    schema = decoded(interactions.slice(0, 0)).schema.insert(last, pa.field("review", kind))
    changed = 0
    with (
        atomic_path(path) as temporary,
        _Spool(path.parent, len(places)) as spool,
        pq.ParquetWriter(temporary, schema, write_page_checksum=True) as writer,
    ):
        spool.lay_down(reviews, places)
        for start, end in spool.parts():
            part = decoded(interactions.slice(start, end - start))
            texts, count = without_markup(pa.array(spool.texts(start, end), kind))
            changed += count
            writer.write_table(part.add_column(last, schema.field(last), blank_is_null(texts)))
    return changed


class _Spool:
    """Texts on the disk, by number."""

    def __init__(self, folder: Path, size: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed where the block of the spool ends
        self._starts = np.zeros(size, np.int64)
        self._lengths = np.full(size, -1, np.int32)

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def lay_down(self, texts: Iterable[str | None], places: np.ndarray) -> None:
        """Writes the texts, the i-th of them as number `places[i]`; None is no text."""
        end = 0
        for place, text in zip(places, texts, strict=True):  # no list of them: 40 bytes each
            if text is not None:
                data = text.encode()
                self._file.write(data)
                self._starts[place], self._lengths[place] = end, len(data)
                end += len(data)
        self._file.flush()

    def parts(self) -> Iterator[tuple[int, int]]:
        """Where the parts begin and end, see `PART`."""
        start = 0
        while start < len(self._lengths):
            ends = np.cumsum(np.maximum(self._lengths[start : start + PART], 0), dtype=np.int64)
            end = start + max(1, int(np.searchsorted(ends, PART_BYTES, side="right")))
            yield start, end
            start = end

    def texts(self, start: int, end: int) -> list[str | None]:
        """Those with the numbers from `start` to before `end`."""
        places = zip(self._starts[start:end].tolist(), self._lengths[start:end].tolist(), strict=True)
        handle = self._file.fileno()
        return [None if length < 0 else os.pread(handle, length, begin).decode() for begin, length in places]
