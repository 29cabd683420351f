"""Vectors that came with replayed records, copied into this data set instead of encoding the text again.

An entity of this data set gets the vector of the entity with the same `source_id` there (or in the same place). Its row
is missing where the other data set does not know it, has no vector for it, or its record here is none that takes part:
a record that was refused here, e.g. because its prompt showed held-out items, must not come back as a vector.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import sha256_file
from augrec.artefacts.matrices import ANY_MATRIX, matrix_of, read_field, sidecar_of, write_field
from augrec.artefacts.names import check_fields
from augrec.artefacts.records import read_records
from augrec.artefacts.run_folder import DatasetFolder
from augrec.artefacts.side_tables import read_source_ids
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.tasks import About, read_card
from embed.records import texts_of_source

SHAPE = ("field", "group", "task", "rows", "dim", "missing")


@dataclass(frozen=True)
class VectorSource:
    """Where vectors are copied from.

    Args:
        folder: with <field>.npy and .json: R/embed/<source> of a run or of an import.
        dataset: that run's data set; None: both data sets have the same users and items in the same order.
    """

    folder: Path
    dataset: Path | None

    def files(self) -> dict[str, Path]:
        """Every file that decides what is copied, by a name that does not depend on where the folder lies."""
        data = DatasetFolder(self.dataset) if self.dataset else None
        ids = [data.items, data.users] if data else []
        matrices = [*sorted(self.folder.glob(ANY_MATRIX)), *sorted(self.folder.glob("*.json"))]
        files = {f"{self.folder.name}/{path.name}": path for path in matrices}
        return files | {f"dataset/{path.name}": path for path in ids}


def copy_vectors(
    source: VectorSource, tasks: Collection[str], dataset: Path, records_folder: Path, out: Path
) -> dict[str, Any]:
    """Writes `out`/<field>.npy (float32 [n, d], row = id) and its JSON for every matrix of the source.

    Args:
        source: where the vectors are; each of its matrices says of which task it is.
        tasks: those whose vectors are brought in.
        dataset: R/dataset, the data set they are brought into.
        records_folder: R/augment/<source>, whose failed records get no vector.
        out: R/embed/<source>.

    Returns:
        field -> content of its JSON file.

    Raises:
        UsageError: the source has no vectors for a task.
        DataError: a matrix is broken, does not fit its data set, or nobody here is known there.
    """
    there = sorted(path.stem for path in source.folder.glob(ANY_MATRIX))
    check_fields(there, source.folder, "matrix", remedy="rename the file")
    fields: dict[str, list[str]] = {}
    for name in there:
        fields.setdefault(_task_of(source.folder / name), []).append(name)
    here = DatasetFolder(dataset)
    ids = {"user": read_source_ids(here.users, "user"), "item": read_source_ids(here.items, "item")}
    texts = texts_of_source(records_folder, len(ids["user"]), len(ids["item"]), tasks)
    copied = {}
    for task in tasks:
        answers = SourceFolder(records_folder).task(task)
        card = read_card(answers.card)
        if not card.gives.embedded:
            continue
        if task not in fields:
            raise UsageError(
                f"the records to replay came without vectors for {task}",
                where=source.folder,
                remedy="leave `vectors` out, so that their text is embedded, or take the task out of `tasks`",
            )
        rows = _rows(source.dataset, card.about, ids[card.about])
        answered = np.zeros(len(rows), dtype=bool)
        answered[[record.entity for record in read_records(answers.records, columns=()).answered()]] = True
        for field in fields[task]:
            told = texts[field].texts if field in texts else None
            takes_part = np.ones(len(rows), dtype=bool) if told is None else answered
            copied[field] = _copy(source, field, task, rows, takes_part, told, answers.records, out)
    return copied


def _task_of(stem: Path) -> str:
    """The task whose answers a matrix was made from."""
    _, about = read_field(stem)
    if not isinstance(about.get("task"), str):
        raise DataError(
            "the vectors do not say of which task they are",
            where=sidecar_of(stem),
            remedy='made by an older version: import them, or run `embed`, again; of your own vectors, add "task"',
        )
    return str(about["task"])


def _copy(
    source: VectorSource,
    field: str,
    task: str,
    rows: np.ndarray,
    takes_part: np.ndarray,
    texts: list[str | None] | None,
    records: Path,
    out: Path,
) -> dict[str, Any]:
    values, about = read_field(source.folder / field)
    path = matrix_of(source.folder / field)
    if len(rows) and rows.max() >= len(values):
        raise DataError(f"{len(values)} rows do not reach row {rows.max()} of its data set", where=path)
    has_vector = np.ones(len(values), dtype=bool)
    has_vector[np.asarray(about["missing"], dtype=np.int64)] = False
    present = np.flatnonzero((rows >= 0) & takes_part)
    present = present[has_vector[rows[present]]]
    if not len(present):
        raise DataError("nobody of this data set has a vector there", where=path, remedy="check `dataset` and `match`")
    placed = np.zeros((len(rows), values.shape[1]), dtype=np.float32)
    placed[present] = values[rows[present]]
    broken = np.flatnonzero(~np.isfinite(placed).all(axis=1))
    if len(broken):
        raise DataError(f"row {rows[broken[0]]} (from 0) holds NaN or infinity", where=path)
    present = np.flatnonzero(placed.any(axis=1))
    written = {
        "field": field,
        "group": out.name,
        "task": task,
        "rows": len(rows),
        "dim": placed.shape[1],
        "missing": np.setdiff1d(np.arange(len(rows)), present).tolist(),
        "model": about.get("model"),
        "model_sha256": about.get("model_sha256"),
        "source": str(path),
        "source_sha256": sha256_file(path),
        "records_sha256": sha256_file(records),
        "replayed": {
            "dataset": str(source.dataset) if source.dataset else None,
            "unused": int(has_vector.sum()) - len(np.unique(rows[present])),
            "without_text": sum(texts[row] is None for row in present) if texts is not None else None,
            "was": {name: value for name, value in about.items() if name not in SHAPE},
        },
    }
    write_field(out / field, placed, written)
    return written


def _rows(theirs: Path | None, about: About, ids: list[str]) -> np.ndarray:
    """The row there of every id here; -1 for those unknown there."""
    if theirs is None:
        return np.arange(len(ids))
    listed = read_source_ids(DatasetFolder(theirs).side_table(about), about)
    row_of = {source_id: row for row, source_id in enumerate(listed)}
    return np.array([row_of.get(source_id, -1) for source_id in ids], dtype=np.int64)
