"""A run in the layout that LLMRec's authors released, so that their code trains on what our LLM wrote.

Vectors that are missing here are zeros there, which has no masks; each is counted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from augment.prompts.domains import domain_named
from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, write_npy, write_text
from augrec.artefacts.ranked_lists import read_ranked_lists
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.exchange.claimed_folder import claim, complete, written_files
from augrec.pipeline.exchange.export_written import write_attributes, write_edges, write_profiles
from augrec.pipeline.exchange.exported import EXPORT_FILE, ExportedRun, as_csv, own_rows, source_named
from augrec.pipeline.exchange.pickles import write_pickle
from augrec.pipeline.side.side_information import DATA_GROUP, FEATURES_GROUP
from recsys.data.dataset import Dataset
from recsys.data.released.reader import Findings

SPLIT_FILES = {"train": "train.json", "valid": "val.json", "test": "test.json"}


def export_llmrec(folder: Path, out: Path, source: str | None = None, *, zero_image: bool = False) -> dict[str, Any]:
    """Writes the released layout of one source of a finished run (or of an import) to `out`, export.json last.

    Args:
        folder: the run.
        out: a new or empty folder, or an earlier export.
        source: whose augmentation; may be left out where there is only one.
        zero_image: write image_feat.npy of zeros where the run has no pictures, because the authors' code needs one.

    Returns:
        What export.json holds: counts, files and notes.

    Raises:
        UsageError: there is no such source, or `out` holds something else.
        DataError: the run lacks what the layout cannot do without, or is itself of another layout than runs have now.
    """
    RunFolder(folder).check_layout()
    dataset = Dataset.load(RunFolder(folder).dataset)
    domain = domain_named(read_json(RunFolder(folder).dataset_json).get("domain"))
    run = ExportedRun(folder, source_named(folder, source), dataset, domain.creator)
    claim(out, EXPORT_FILE)
    with confined(out):
        return _write(run, out, zero_image)


def _write(run: ExportedRun, out: Path, zero_image: bool) -> dict[str, Any]:
    folder, dataset, notes = run.folder, run.dataset, Findings()
    text = run.matrix(f"{DATA_GROUP}/text", f"{FEATURES_GROUP}/text")
    if text is None:
        raise DataError(
            "the run has no text features, which fix the number of items in the released layout",
            where=RunFolder(folder).embed,
            remedy="run the stage `embed` with an `embedding` section first",
        )
    _interactions(run, out)
    _items(run, out, text, zero_image, notes)
    write_edges(run, out, notes)
    _candidates(run, out, notes)
    write_profiles(run, out, notes)
    keys = write_attributes(run, out, notes)
    written = {
        "layout": "llmrec",
        "source": run.source,
        "attributes": list(keys),
        "counts": {"users": dataset.n_users, "items": dataset.n_items, "train": len(dataset.train)},
        "files": written_files(out),
        "faults": [],
        "notes": [{"file": note.file, "what": note.what, "count": note.count} for note in notes],
    }
    complete(out, EXPORT_FILE, written)
    return written


def _interactions(run: ExportedRun, out: Path) -> None:
    dataset = run.dataset
    for split, name in SPLIT_FILES.items():
        table: dict[str, list[int]] = {str(user): [] for user in range(dataset.n_users)}
        for user, item in dataset.pairs(split).tolist():
            table[str(user)].append(item)
        write_text(out / name, json.dumps(table))
    ones = np.ones(len(dataset.train), dtype=np.float32)
    write_pickle(out / "train_mat", sp.csr_matrix((ones, dataset.train.T), shape=(dataset.n_users, dataset.n_items)))


def _items(run: ExportedRun, out: Path, text: np.ndarray, zero_image: bool, notes: Findings) -> None:
    """The modalities, and the items' own table under its two names."""
    write_npy(out / "text_feat.npy", np.asarray(text))
    image = run.matrix(f"{FEATURES_GROUP}/image")
    if image is None and zero_image:
        image = np.zeros((run.dataset.n_items, 1), dtype=np.float32)
        notes.add("image_feat.npy", "rows of zeros stand in for pictures", len(image), "note")
    if image is None:
        what = "file is not written, the run has no pictures; the authors' code loads it (--zero-image writes zeros)"
        notes.add("image_feat.npy", what, 1, "note")
    else:
        write_npy(out / "image_feat.npy", np.asarray(image))
    for name in ("item_attribute.csv", "item_attribute_filter.csv"):
        write_text(out / name, as_csv(own_rows(run.dataset)))


def _candidates(run: ExportedRun, out: Path, notes: Findings) -> None:
    path = RunFolder(run.folder).candidates
    if not path.exists():
        notes.add("candidate_indices", "file is not written, there are no candidates", 1, "note")
        return
    import torch

    remedy = "run the candidates stage again"
    lists = read_ranked_lists(path, run.dataset.n_users, run.dataset.n_items, remedy=remedy)
    counts = lists.lengths
    shown = np.zeros((run.dataset.n_users, int(counts.max(initial=0))), dtype=np.int64)
    for user, count in enumerate(counts):
        own = lists.of(user)
        shown[user, :count] = own
        shown[user, count:] = own[-1] if count else 0
    short = int((counts < shown.shape[1]).sum())
    notes.add("candidate_indices", "users have fewer candidates; their last is repeated", short, "note")
    write_pickle(out / "candidate_indices", torch.from_numpy(shown))
