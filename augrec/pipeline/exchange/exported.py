"""What is exported of a run: its data set, one source, and the matrices by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augrec.artefacts.csv_cells import csv_lines
from augrec.artefacts.errors import UsageError
from augrec.artefacts.matrices import matrix_of, read_field
from augrec.artefacts.named import named_matrices, named_sources
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.side.side_information import DATA_GROUP
from recsys.data.dataset import Dataset

EXPORT_FILE = "export.json"
"""Written last into what is exported; says what it is."""


@dataclass(frozen=True)
class ExportedRun:
    """What is exported of a run or an import."""

    folder: Path
    source: str
    dataset: Dataset
    creator: str
    """What the domain calls the authors' `director`."""

    def matrix(self, *names: str) -> np.ndarray | None:
        """The first matrix of these embed/<group>/<field> that is there."""
        named = named_matrices(self.folder)
        stem = next((stem for name in names if matrix_of(stem := RunFolder(self.folder).embed / name) in named), None)
        return None if stem is None else read_field(stem)[0]

    def attribute(self, name: str) -> np.ndarray | None:
        """The matrix that the authors call `name`: written by the LLM, or the data set's own."""
        ours = {"director": self.creator, "genre": "genres"}.get(name, name)
        return self.matrix(f"{self.source}/{ours}", f"{DATA_GROUP}/{ours}")


def source_named(folder: Path, name: str | None) -> str:
    """The source of that name, or the only one. Raises UsageError."""
    there = named_sources(folder)
    if name is None and len(there) == 1:
        return there[0]
    if name not in there or name is None:
        what = "which source is meant must be said" if name is None else f"the run has no source '{name}'"
        listed = ", ".join(there)
        remedy = f"--source takes one of: {listed}" if there else "run the stage `augment` first"
        raise UsageError(what, where=RunFolder(folder).augment, remedy=remedy)
    return name


def own_rows(dataset: Dataset) -> list[list[str]]:
    """The items' own table: id, year, title; id, title, genre where items have no years."""
    columns = dataset.items.column_names
    ids = dataset.items["original_id" if "original_id" in columns else "source_id"].to_pylist()
    titles = dataset.items["title"].to_pylist() if "title" in columns else [""] * dataset.n_items
    if "year" not in columns and "genres" in columns:
        genres = dataset.items["genres"].to_pylist()
        return [[i, title or "", "|".join(row)] for i, title, row in zip(ids, titles, genres, strict=True)]
    years = dataset.items["year"].to_pylist() if "year" in columns else [None] * dataset.n_items
    return [
        [i, "" if year is None else f"{year:.1f}", title or ""]
        for i, year, title in zip(ids, years, titles, strict=True)
    ]


def as_csv(rows: list[list[str]]) -> str:
    """Rows as a table without header."""
    return csv_lines(rows)
