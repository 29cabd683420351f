"""Texts that somebody has already, one about each user or item, as records that a source can replay.

A table of ids and texts says nothing of interactions, so the data set beside the records holds ids alone: by them the
texts are matched where they are replayed. Nor does it say what the texts were written from; that is the one thing
about them that neither this import nor the audit can check.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_json, sha256_file, write_json, write_parquet
from augrec.artefacts.names import suggestion
from augrec.artefacts.run_folder import DatasetFolder, RunFolder
from augrec.artefacts.tasks import About
from augrec.pipeline.exchange.artefacts import PUBLISHED, write_records
from augrec.pipeline.exchange.claimed_folder import claim, complete
from augrec.pipeline.exchange.findings import IMPORT_FILE
from augrec.pipeline.exchange.import_llmrec import profile_records
from augrec.pipeline.exchange.import_rlmrec import CARDS
from recsys.data.options import TableOptions
from recsys.data.readers.base import unique_ids
from recsys.data.readers.columns import load_columns
from recsys.data.readers.fields import ids_of
from recsys.data.readers.nothing import without_nothing
from recsys.data.readers.side_columns import side_column
from recsys.data.readers.times import Rows

LAYOUT, PROFILE = "texts", "profile"
UNPROVED = "texts of users: nothing says which interactions they were written from, and only those of train may be"


class TextTable(NamedTuple):
    """A file (CSV, TSV, JSON lines, Parquet) with a text about each user, or about each item."""

    path: Path
    ids: str
    """The column of ids, as the source of the data writes them."""
    text: str = "text"
    """The column of texts. A blank one is a failed record."""


def import_texts(out: Path, tables: Mapping[About, TextTable], written_by: str | None = None) -> dict[str, Any]:
    """Reads a table about users, about items, or one of each, and writes records to `out`.

    Args:
        out: a new folder, or that of an earlier import about the same.
        tables: by what they are about.
        written_by: the model that wrote them, or whoever did; for the pages.

    Returns:
        What `import.json` holds, which is written last.

    Raises:
        UsageError: no table is named, one is not there, or `out` holds something else.
        DataError: a column or an id is missing, an id has two texts, or no row has one.
    """
    if not tables:
        raise UsageError("no file of texts is named", remedy="give --users FILE, --items FILE, or both")
    notes: list[str] = []
    texts = {about: _texts(table, about, notes) for about, table in tables.items()}
    with confined(out):
        return _write(out, {about: table.path for about, table in tables.items()}, texts, notes, written_by)


def _texts(table: TextTable, about: About, notes: list[str]) -> pd.Series:
    """The text of each id, which is the index; None for a blank one."""
    path, ids, text = table
    if not path.is_file():
        raise UsageError("there is no such file", where=path.absolute(), remedy="correct the path")
    frame = load_columns(path, TableOptions(), [], notes)
    for name, option in ((ids, f"--{about}-id"), (text, f"--{about}-text")):
        if name not in frame:
            there = [str(column) for column in frame.columns]
            remedy = f"{suggestion(name, there)}name the column with {option}; there are: {', '.join(there[:12])}"
            raise DataError(f"the file has no column {name!r}", where=path, remedy=remedy)
    cells = side_column(frame[text].rename(PROFILE), path, notes)
    rows = pd.DataFrame({ids: ids_of(frame[ids], path, Rows(), notes), PROFILE: cells})
    rows, nothing = without_nothing(unique_ids(rows, ids, path, notes), ids, path.name)
    notes += nothing
    if not rows[PROFILE].notna().any():
        remedy = f"name another one with --{about}-text"
        raise DataError(f"no row has a text in the column {text!r}", where=path, remedy=remedy)
    return rows.set_index(ids)[PROFILE]


def _write(
    out: Path, files: Mapping[About, Path], texts: Mapping[About, pd.Series], notes: list[str], written_by: str | None
) -> dict[str, Any]:
    claim(out, IMPORT_FILE, {"layout": LAYOUT, "about": sorted(files)})
    run, counts = RunFolder(out), dict[str, int]()
    folder = run.source(PUBLISHED)
    for about, card in CARDS.items():
        found = texts.get(about, pd.Series(dtype="str"))
        _write_ids(run.dataset, about, [str(name) for name in found.index])
        if about not in texts:
            continue
        there = {row: str(one) for row, one in enumerate(found) if pd.notna(one)}
        tally = write_records(folder.root, card, profile_records(card.name, there, len(found)))
        counts |= {f"texts of {about}s": tally.ok} | (
            {f"{about}s without a text": tally.failed} if tally.failed else {}
        )
    hashes = {path.name: sha256_file(path) for path in files.values()}
    write_json(folder.engine_json, {"engine": PUBLISHED, "model": written_by, "layout": LAYOUT, "files": hashes})
    lines = [{"file": note.partition(": ")[0], "what": note.partition(": ")[2], "count": 1} for note in notes]
    if "user" in files:
        lines.append({"file": files["user"].name, "what": UNPROVED, "count": counts["texts of users"]})
    said = {"layout": LAYOUT, "about": sorted(files), "files": hashes, "counts": counts, "faults": [], "notes": lines}
    complete(out, IMPORT_FILE, said | {"alignment": [], "edge_worth": []})
    return read_json(out / IMPORT_FILE)


def _write_ids(dataset: Path, about: About, source_ids: list[str]) -> None:
    """The side table of who has a text, and of nothing else."""
    rows = pa.array(np.arange(len(source_ids)), pa.int32())
    table = pa.table({about: rows, "source_id": pa.array(source_ids, pa.string())})
    write_parquet(DatasetFolder(dataset).side_table(about), table)
