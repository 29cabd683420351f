"""The records of one source and task, read once for everything that is measured of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.records import Records, read_records
from augrec.artefacts.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class SourceRecords:
    """What one source answered to one task; the columns of all records are in memory."""

    source: str
    task: str
    records: Records

    @classmethod
    def read(cls, run: RunFolder, source: str, task: str) -> SourceRecords:
        """Raises DataError where the file is missing or damaged."""
        return cls(source, task, read_records(run.source(source).task(task).records))

    def __len__(self) -> int:
        return len(self.records)

    @property
    def path(self) -> Path:
        """The file of the records."""
        return self.records.path

    @property
    def entities(self) -> np.ndarray:
        """int64 [rows]."""
        return self.records.entities

    @property
    def ok(self) -> np.ndarray:
        """bool [rows]: whether the record holds an answer."""
        return self.records.ok

    @cached_property
    def reasons(self) -> list[str | None]:
        """Why a record failed."""
        return self.column("reason")

    @cached_property
    def fields(self) -> list[dict[str, Any]]:
        """The answer of every record; empty where it failed."""
        return [record.fields or {} for record in self.records]

    @cached_property
    def rows_of(self) -> dict[int, list[int]]:
        """entity -> the rows of its questions, in order."""
        rows: dict[int, list[int]] = {}
        for row, entity in enumerate(self.entities.tolist()):
            rows.setdefault(entity, []).append(row)
        return rows

    def answers_about(self, entity: int) -> list[dict[str, Any]]:
        """What was answered about an entity, in the order of the questions; failed records are left out."""
        ok = self.ok
        return [self.fields[row] for row in self.rows_of.get(entity, ()) if ok[row]]

    @cached_property
    def shown(self) -> np.ndarray | None:
        """int64 [m, 2] of (entity, item), the history that the prompts showed; None where the records do not say."""
        histories = self.column("shown_history")
        pairs = [
            (entity, item)
            for entity, history in zip(self.entities.tolist(), histories, strict=True)
            for item in history or ()
        ]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2) if pairs else None

    def column(self, name: str) -> list[Any]:
        """One value a row; None everywhere where the file lacks the column."""
        return self.records.column(name) or [None] * len(self)

    def answered(self) -> np.ndarray:
        """Sorted ids of the entities with an answer."""
        return np.unique(self.entities[self.ok])

    def answers(self) -> Iterator[tuple[tuple[int, str], dict[str, Any]]]:
        """((entity, question), answer) of every record that holds one."""
        return (((record.entity, record.question), record.fields or {}) for record in self.records.answered())

    def of_questions(self, name: str) -> dict[tuple[int, str], Any]:
        """(entity, question) -> the value of a column, of every record."""
        questions = (question or "" for question in self.column("question"))
        return dict(zip(zip(self.entities.tolist(), questions, strict=True), self.column(name), strict=True))
