"""The lines of a publisher that describe items, read for those alone that are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from augrec.artefacts.counts import counted
from recsys.data.readers.base import SideRows
from recsys.data.readers.fields import bare_ids
from recsys.data.readers.json_records import keyless, parsed_lines
from recsys.data.readers.nested import text_of
from recsys.data.readers.side_columns import side_column, text_column


@dataclass(frozen=True)
class Catalogue:
    """A file with an object a line.

    Args:
        path: the file.
        key: what holds the id.
        row: what is kept of an object, by our names of side columns.
        lists: those that hold several values.
    """

    path: Path
    key: str
    row: Callable[[dict[str, Any]], dict[str, Any]]
    lists: tuple[str, ...] = ("genres",)

    def read(self, about: str, ids: np.ndarray) -> SideRows:
        """The rows of `ids` (str) in the column `about`, and all ids of the file. Of several lines of one id the first
        counts.

        Raises:
            DataError: see `parsed_lines`; no line has an id.
        """
        wanted, found, notes = set(ids.tolist()), _Found(self.lists), list[str]()
        parts, lines, nameless, repeated, seen = list[pa.Array](), 0, 0, 0, set[str]()
        for _, records in parsed_lines(self.path):
            if not seen:
                seen.update(*records)
            names = bare_ids(pa.array([_id(record.get(self.key)) for record in records], pa.string()))
            for name, record in zip(names.to_pylist(), records, strict=True):
                if name in found.places:
                    repeated += 1
                elif name in wanted:
                    found.add(name, self.row(record))
            found.pack()
            there = names.filter(pc.not_equal(names, ""))
            lines, nameless = lines + len(names), nameless + len(names) - len(there)
            parts.append(there)
        if nameless == lines:
            raise keyless(self.key, seen, self.path)
        if nameless:
            notes.append(f"{self.path.name}: {counted(nameless, 'line has', 'lines have')} no {self.key}: left out")
        if repeated:
            notes.append(
                f"{self.path.name}: {counted(repeated, 'line describes', 'lines describe')} an {about} again: left out"
            )
        described = pa.chunked_array(parts, pa.string()).unique().to_pandas()
        return SideRows(self._frame(about, found, notes), described, tuple(notes))

    def _frame(self, about: str, found: _Found, notes: list[str]) -> pd.DataFrame:
        columns = {about: pd.Series([*found.places], dtype="str")}
        for name in [*found.columns]:
            if name != "year" and (texts := found.texts(name)) is not None:
                if any(pc.any(pc.not_equal(part, "")).as_py() for part in texts):
                    columns[name] = text_column(texts, name)
                continue
            cells = found.cells(name)  # freed when it is converted
            if any(cell is not None and cell != "" and cell != [] for cell in cells):
                columns[name] = side_column(pd.Series(cells, dtype=object, name=name), self.path, notes, self.lists)
        return pd.DataFrame(columns)


@dataclass
class _Found:
    """Rows of a catalogue, column by column; values that many rows list are held once, and texts as bytes.

    A text of Python is held with 60 bytes of its own, and each of a column's ways to Arrow holds all of them again.

    Args:
        lists: columns that hold several values.
    """

    lists: tuple[str, ...]
    places: dict[str, int] = field(default_factory=dict)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """The cells of each column, of those that are texts the ones that are not packed yet."""
    packed: dict[str, list[pa.Array]] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Appends the row of an id; every row has the same columns."""
        self.places[name] = len(self.places)
        for column, cell in row.items():
            shared = [self.shared.setdefault(value, value) for value in cell] if isinstance(cell, list) else cell
            if column not in self.columns:
                self.columns[column] = []
                if column not in self.lists:
                    self.packed[column] = []
            self.columns[column].append(shared)

    def pack(self) -> None:
        """Packs the texts that were added; a column with anything else stays as it is from there on."""
        for name in [*self.packed]:
            if all(cell is None or type(cell) is str for cell in self.columns[name]):
                self.packed[name].append(pa.array(self.columns[name], pa.large_string()))
                self.columns[name] = []
            else:
                self.columns[name] = self._whole(name)
                del self.packed[name]

    def texts(self, name: str) -> list[pa.Array] | None:
        """Takes a column of texts, nulls among them; None where it holds anything else."""
        return self.packed.pop(name, None)

    def cells(self, name: str) -> list[Any]:
        """Takes a column of any kind."""
        cells = self._whole(name)
        del self.columns[name]
        return cells

    def _whole(self, name: str) -> list[Any]:
        texts = (cell for part in self.packed.get(name, []) for cell in part.to_pylist())
        return [*texts, *self.columns[name]]


def _id(cell: Any) -> str:
    return "" if isinstance(cell, (list, dict)) else text_of(cell)
