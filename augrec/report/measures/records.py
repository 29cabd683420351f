"""The records of one source and task, read once for everything that is measured of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet
from augrec.artefacts.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class Records:
    """`augment/<source>/<task>/records.parquet`: rows are records, of any number of entities."""

    source: str
    task: str
    path: Path
    table: pa.Table

    @classmethod
    def read(cls, run: RunFolder, source: str, task: str) -> Records:
        """Raises DataError where the file is missing or unreadable."""
        path = run.source(source).task(task).records
        return cls(source, task, path, read_parquet(path, remedy="run the augment stage again"))

    @cached_property
    def entities(self) -> np.ndarray:
        """int64 [rows]."""
        return self.table["entity"].to_numpy().astype(np.int64)

    @cached_property
    def ok(self) -> np.ndarray:
        """bool [rows]: whether the record holds an answer."""
        return np.array([status == "ok" for status in self.table["status"].to_pylist()], dtype=np.bool_)

    @cached_property
    def reasons(self) -> list[str | None]:
        """Why a record failed."""
        found: list[str | None] = self.table["reason"].to_pylist()
        return found

    @cached_property
    def fields(self) -> list[dict[str, Any]]:
        """The answer of every record; empty where it failed."""
        parsed: list[dict[str, Any]] = []
        for row, (text, ok) in enumerate(zip(self.table["fields"].to_pylist(), self.ok, strict=True)):
            try:
                value = json.loads(text) if ok else {}
            except (TypeError, ValueError):
                value = None
            if not isinstance(value, dict):
                raise DataError("the fields of a record are not a JSON object", where=f"{self.path}, row {row}")
            parsed.append(value)
        return parsed

    @cached_property
    def row_of(self) -> dict[int, int]:
        """entity -> row."""
        return {int(entity): row for row, entity in enumerate(self.entities)}

    @cached_property
    def shown(self) -> np.ndarray | None:
        """int64 [m, 2] of (entity, item), the history that the prompts showed; None where the records do not say."""
        if "shown_history" not in self.table.column_names:
            return None
        histories = [history or [] for history in self.table["shown_history"].to_pylist()]
        pairs = [
            (entity, item) for entity, shown in zip(self.entities.tolist(), histories, strict=True) for item in shown
        ]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2) if pairs else None

    def answered(self) -> np.ndarray:
        """Sorted ids of the entities with an answer."""
        return np.unique(self.entities[self.ok])
