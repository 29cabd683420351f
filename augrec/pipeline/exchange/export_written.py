"""What a source wrote, in LLMRec's files: edges, profiles, attributes, and the vectors of both texts.

Their trainer looks every user up, hence a user without an edge gets ids beyond the catalogue, which it drops by itself.
It knows five attributes by name, so only these are written. Text is what was embedded, not the LLM's JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from augment.tasks.naming import UNKNOWN
from augrec.artefacts.files import write_text
from augrec.artefacts.named import named_records
from augrec.artefacts.records import StoredRecord, read_records
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.exchange.exported import ExportedRun, as_csv, own_rows
from augrec.pipeline.exchange.pickles import write_pickle, write_vectors
from embed.records import texts_of_source
from recsys.data.released.reader import Findings

NETFLIX = ("year", "title", "director", "country", "language")
MOVIELENS = ("title", "genre", "director", "country", "language")
MOVIELENS_FOLDER = "preprocessed_raw_MovieLens"


def write_edges(run: ExportedRun, out: Path, notes: Findings) -> None:
    """`augmented_sample_dict`: every user has a pair."""
    n_items = run.dataset.n_items
    nobody = {0: n_items, 1: n_items}
    table = dict.fromkeys(range(run.dataset.n_users), nobody)
    for record in _answered(run, "edges"):
        fields = record.fields or {}
        table[record.entity] = {0: fields["positive"], 1: fields["negative"]}
    without = sum(pair is nobody for pair in table.values())
    notes.add(
        "augmented_sample_dict", f"users have no edge; {n_items} stands in, which the trainer drops", without, "note"
    )
    write_pickle(out / "augmented_sample_dict", {user: dict(pair) for user, pair in table.items()})


def write_profiles(run: ExportedRun, out: Path, notes: Findings) -> None:
    """The profile texts and their vectors; absent where the source wrote none."""
    folder = RunFolder(run.folder).source(run.source).root
    tasks = [path.parent.name for path in named_records(run.folder, run.source)]
    profiles = texts_of_source(folder, run.dataset.n_users, run.dataset.n_items, tasks).get("user_profile")
    if profiles is not None:
        texts = profiles.texts
        present = {user: text for user, text in enumerate(texts) if text is not None}
        notes.add("augmented_user_profiling_dict", "users have no profile", len(texts) - len(present), "note")
        write_pickle(out / "augmented_user_profiling_dict", present)
    vectors = run.matrix(f"{run.source}/user_profile")
    if vectors is None:
        notes.add("augmented_user_init_embedding", "file is not written, the source has no profiles", 1, "note")
        return
    _count_zeros("augmented_user_init_embedding", vectors, notes)
    write_pickle(
        out / "augmented_user_init_embedding", {u: row.astype(np.float64) for u, row in enumerate(np.asarray(vectors))}
    )


def write_attributes(run: ExportedRun, out: Path, notes: Findings) -> tuple[str, ...]:
    """The names under which vectors were written."""
    keys = NETFLIX if run.attribute("year") is not None else MOVIELENS
    if keys == MOVIELENS:
        what = f"attribute sets are MovieLens'; the authors' code expects them in a folder called {MOVIELENS_FOLDER}"
        notes.add("augmented_atttribute_embedding_dict", what, 1, "note")
    present = {key: matrix for key in keys if (matrix := run.attribute(key)) is not None}
    lacking = [key for key in keys if key not in present]
    if lacking:
        what = f"attributes that the authors' code needs are not there: {', '.join(lacking)}"
        notes.add("augmented_atttribute_embedding_dict", what, len(lacking), "note")

    def matrices() -> Iterator[tuple[str, np.ndarray]]:
        for key, matrix in present.items():
            _count_zeros(f"augmented_atttribute_embedding_dict[{key}]", matrix, notes)
            yield key, matrix

    write_vectors(out / "augmented_atttribute_embedding_dict", matrices())
    ours = (run.creator, "country", "language")
    table = {item: dict.fromkeys(range(len(ours)), UNKNOWN) for item in range(run.dataset.n_items)}
    for record in _answered(run, "item_attributes"):
        fields = record.fields or {}
        table[record.entity] = {place: str(fields.get(name, UNKNOWN)) for place, name in enumerate(ours)}
    write_pickle(out / "augmented_attribute_dict", table)
    rows = [[*own, *table[item].values()] for item, own in enumerate(own_rows(run.dataset))]
    write_text(out / "augmented_item_attribute_agg.csv", as_csv(rows))
    return tuple(present)


def _answered(run: ExportedRun, task: str) -> Iterator[StoredRecord]:
    path = RunFolder(run.folder).source(run.source).task(task).records
    there = path.exists() and path in named_records(run.folder, run.source)
    return read_records(path, columns=()).answered() if there else iter(())


def _count_zeros(file: str, matrix: np.ndarray, notes: Findings) -> None:
    notes.add(file, "rows have no vector; zeros are written", int((~np.any(matrix, axis=1)).sum()), "note")
