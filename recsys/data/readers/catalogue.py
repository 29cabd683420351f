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
from augrec.artefacts.memory import give_back
from recsys.data.readers.base import SideRows
from recsys.data.readers.fields import bare_ids
from recsys.data.readers.json_records import keyless, parsed_lines
from recsys.data.readers.nested import text_of
from recsys.data.readers.side_columns import SEPARATOR, list_column, lists_in, side_column, text_column


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
        wanted, found, notes = set(ids), _Found(self.lists), list[str]()
        parts, lines, nameless, repeated, seen = list[pa.Array](), 0, 0, 0, set[str]()
        for _, records in parsed_lines(self.path):
            if not seen:
                seen.update(*records)
            names = bare_ids(pa.array([_id(record.get(self.key)) for record in records], pa.string()))
            for name, record in zip(names.to_pylist(), records, strict=True):
                if name in found.names:
                    repeated += 1
                elif name in wanted:
                    wanted.discard(name)  # the text that `found` holds from here on
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
        columns = {about: pd.Series([*found.names], dtype="str")}
        found.names.clear()
        for name in [*found.columns]:
            column = self._column(name, found, notes)
            if column is not None:
                columns[name] = column
            give_back()  # what its parts took: Arrow would keep it beside the next column
        return pd.DataFrame(columns)

    def _column(self, name: str, found: _Found, notes: list[str]) -> pd.Series | None:
        """Takes a column; None where it holds nothing."""
        if name in self.lists:
            lists = found.lists_of(name)
            return None if lists is None else list_column(lists, name, self.path, notes)
        if name != "year" and (texts := found.texts(name)) is not None:
            filled = any(pc.any(pc.not_equal(part, "")).as_py() for part in texts)
            return text_column(texts, name) if filled else None
        cells = found.cells(name)  # freed when it is converted
        if not any(map(_holds_something, cells)):
            return None
        return side_column(pd.Series(cells, dtype=object, name=name), self.path, notes, ())


@dataclass
class _Found:
    """Rows of a catalogue, column by column; texts and lists of them as bytes.

    A text of Python is held with 60 bytes of its own and a list with 70, and each of a column's ways to Arrow holds all
    of them again.

    Args:
        lists: columns that hold several values.
    """

    lists: tuple[str, ...]
    names: dict[str, None] = field(default_factory=dict)
    """The ids, in the order of their rows."""
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """The cells of each column, of those that are packed the ones that wait for it."""
    packed: dict[str, list[pa.Array]] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)
    """The columns of lists in which some cell holds anything."""

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Appends the row of an id; every row has the same columns."""
        self.names[name] = None
        for column, cell in row.items():
            if column not in self.columns:
                self.columns[column], self.packed[column] = [], []
            self.columns[column].append(cell)

    def pack(self) -> None:
        """Packs what was added of lists and texts; a column with anything else stays as it is from there on."""
        for name in [*self.packed]:
            cells = self.columns[name]
            if name in self.lists:
                self.filled |= {name} if any(map(_holds_something, cells)) else set()
                self.packed[name].append(pa.array(lists_in(cells, SEPARATOR), pa.list_(pa.string())))
                self.columns[name] = []
            elif all(cell is None or type(cell) is str for cell in cells):
                self.packed[name].append(pa.array(cells, pa.large_string()))
                self.columns[name] = []
            else:
                self.columns[name] = self._whole(name)
                del self.packed[name]

    def lists_of(self, name: str) -> list[pa.Array] | None:
        """Takes a column of lists; None where no cell holds anything."""
        parts = self.packed.pop(name)
        return parts if name in self.filled else None

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


def _holds_something(cell: Any) -> bool:
    return cell is not None and cell != "" and cell != []
