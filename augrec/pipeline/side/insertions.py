"""From records that name an item to suggested interactions in training sequences, and where they stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from augrec.artefacts.errors import DataError
from augrec.artefacts.records import read_records
from augrec.pipeline.side.edges import WrittenEdges
from recsys.augmentation import Edges, Insertions
from recsys.data.dataset import Dataset


def read_picks(path: Path) -> WrittenEdges:
    """The items of answered records, each as an edge to itself, so that the controls of edges draw in its place.

    Args:
        path: `records.parquet` of a task that gives insertions.

    Raises:
        DataError: an answer names no item.
    """
    users, items, rows, shown = [], [], [], {}
    for record in read_records(path, columns=["shown_candidates"]).answered():
        item = (record.fields or {}).get("item")
        if not isinstance(item, int) or isinstance(item, bool):
            raise DataError(
                f"the item of an insertion is no id: {str(item)[:80]}",
                where=f"{path}, row {record.row}",
                remedy="remove this record, or make it again",
            )
        shown[record.row] = record.shown_candidates
        users.append(record.entity)
        items.append(item)
        rows.append(record.row)
    columns = (np.array(column, dtype=np.int64) for column in (users, items, items))
    return WrittenEdges(Edges.from_arrays(*columns), np.array(rows, dtype=np.int64), shown)


def placed(picks: Edges, dataset: Dataset, rng: np.random.Generator) -> Insertions:
    """The positive item of each edge at a place of its user's training sequence, drawn uniformly.

    Never after the last training item: that would be where validation asks what comes next. A user without a training
    item has no sequence, and gets nothing.

    Args:
        picks: at most some per user.
        dataset: whose training sequences.
        rng: where the draws come from.
    """
    lengths = np.diff(dataset.starts("train"))
    kept = np.flatnonzero(lengths[picks.user] > 0)
    user = picks.user[kept]
    return Insertions(user, picks.positive[kept], rng.integers(0, lengths[user]))
