"""Imported data in the layout of docs/artefacts.md."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from augment.accounting.summary import TaskCounts
from augment.messages import MASKED, Record
from augment.store.table import merge
from augrec.artefacts.files import digest
from augrec.artefacts.interactions import SPLITS, UserItems
from augrec.artefacts.matrices import write_field
from augrec.artefacts.ranked_lists import write_ranked_lists
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.tasks import TaskCard, write_card
from recsys.augmentation import FeatureMatrix
from recsys.data.dataset import Dataset
from recsys.data.dataset_files import SplitInteractions, write_dataset

PUBLISHED = "published"
"""Name of the source, and finish reason of its records: nobody here saw them generated."""


def published_record(
    task: str,
    entity: int,
    *,
    fields: dict[str, Any] | None,
    text: str,
    reason: str | None = None,
    repairs: Iterable[str] = (),
    shown_candidates: Iterable[int] = (),
    question: str = "",
) -> Record:
    """A record of something published; failed, with its reason, where there are no fields."""
    record = Record(
        key="",
        task=task,
        entity=entity,
        status="failed" if fields is None else "ok",
        reason=reason,
        fields=None if fields is None else json.dumps(fields, ensure_ascii=False, separators=(",", ":")),
        text=text,
        finish_reason=PUBLISHED,
        prompt_tokens=0,
        completion_tokens=0,
        cached_tokens=0,
        attempt=1,
        repairs=tuple(repairs),
        shown_candidates=tuple(shown_candidates),
        fallback=MASKED if fields is None else None,
        question=question,
    )
    content = {name: value for name, value in asdict(record).items() if name != "question" or value}
    return replace(record, key=digest({"engine": PUBLISHED, **content}))


def write_records(folder: Path, card: TaskCard, records: list[Record]) -> TaskCounts:
    """Writes `folder/<task>/records.parquet` and the task's card; the counts over them."""
    task = SourceFolder(folder).task(card.name)
    write_card(task.card, card)
    return merge(records, {record.key for record in records}, task.records)


def write_released(dataset: Dataset, out: Path, about: dict[str, Any]) -> dict[str, int]:
    """Writes a `dataset/` folder of a published split; `about` joins dataset.json. Returns the counts."""
    parts = [dataset.pairs(name) for name in SPLITS]
    users, items = np.concatenate(parts).T
    labels = np.repeat(np.arange(len(SPLITS), dtype=np.uint8), [len(part) for part in parts])
    kept = pd.DataFrame({"user": users, "item": items, "split": labels})
    about = about | {"protocol": {"split": {"kind": "given"}}, "dropped": {}}
    interactions = SplitInteractions.of(kept, dataset.n_users, dataset.n_items)
    counts: dict[str, int] = write_dataset(out, interactions, dataset.items, dataset.users, about)["counts"]
    return counts


def id_table(about: str, size: int, columns: dict[str, pa.Array]) -> pa.Table:
    """A side table: the release's own ids are contiguous already, and are the source ids."""
    ids = np.arange(size)
    own = {about: pa.array(ids, pa.int32()), "source_id": pa.array(ids.astype(str), pa.string())}
    return pa.table(own | columns)


def write_candidates(shown: np.ndarray, dataset: Dataset, path: Path) -> int:
    """Writes the lists [n_users, k] without training items and repeats; returns how many rows were left out."""
    users = np.repeat(np.arange(dataset.n_users), shown.shape[1])
    keys = users * dataset.n_items + shown.ravel()
    _, first = np.unique(keys, return_index=True)
    keep = np.zeros(len(keys), dtype=bool)
    keep[first] = True
    keep &= ~np.isin(keys, dataset.train[:, 0] * dataset.n_items + dataset.train[:, 1])
    lists = UserItems.build(users[keep], shown.ravel()[keep], dataset.n_users)
    write_ranked_lists(path, lists)
    return len(keys) - len(lists.items)


def write_matrix(matrix: FeatureMatrix, stem: Path, about: dict[str, Any]) -> None:
    """Writes a matrix as the embed stage does; rows without a vector are zero and listed as missing."""
    dense = matrix.dense()
    missing = np.flatnonzero(~matrix.mask | ~dense.any(axis=1)).tolist()
    shape = {"field": stem.name, "group": stem.parent.name, "rows": len(dense), "dim": dense.shape[1]}
    write_field(stem, dense, shape | {"missing": missing} | about)
