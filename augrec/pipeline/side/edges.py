"""From edge records to the triplets of one variant: how many per user, and what their confidence does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from augment.answers.scoring import confidence
from augrec.artefacts.errors import DataError
from augrec.artefacts.records import read_records
from recsys.augmentation import Edges

if TYPE_CHECKING:
    from augrec.pipeline.config.run_config import Variant


@dataclass(frozen=True, eq=False)
class WrittenEdges:
    """The triplets of a task's answered records.

    Attributes:
        edges: in the order of the records, a record's likeliest first.
        record: int64 [m], which record each is of.
        shown: by record, the candidates that it showed; nothing where the records do not say.
    """

    edges: Edges
    record: np.ndarray
    shown: dict[int, tuple[int, ...]]


def read_edges(path: Path, variant: Variant) -> WrittenEdges:
    """The triplets of answered records.

    Args:
        path: `records.parquet` of a task that gives edges.
        variant: `edge_positives`, `edge_confidence` and `edge_threshold` are read.

    Returns:
        Triplets of weight 0 are left out: the model did not tell the two items apart, and a triplet without weight
        could still take a place in a pruned batch.

    Raises:
        DataError: a record's scores are not pairs of item and probability.
    """
    rows, weights, shown = [], [], {}
    for record in read_records(path, columns=["shown_candidates"]).answered():
        shown[record.row] = record.shown_candidates
        for positive, negative, sure in _triplets(record.fields or {}, variant.edge_positives, path):
            if weight := _weight(sure, variant):
                rows.append((record.entity, positive, negative, record.row))
                weights.append(weight)
    ids = np.array(rows, dtype=np.int64).reshape(-1, 4)
    edges = Edges.from_arrays(ids[:, 0], ids[:, 1], ids[:, 2], np.array(weights, dtype=np.float32))
    return WrittenEdges(edges, ids[:, 3], shown)


def _triplets(fields: dict[str, Any], positives: int, path: Path) -> Iterator[tuple[int, int, float | None]]:
    """(positive, negative, confidence); one without confidence where the record holds no scores."""
    negative = fields["negative"]
    if "scores" not in fields:
        yield fields["positive"], negative, None
        return
    try:
        scores = [(int(item), float(value)) for item, value in fields["scores"]]
        unlikely = dict(scores)[negative]
    except (TypeError, ValueError, KeyError):
        raise DataError(
            f"the scores of an edge are not its items with their probabilities: {str(fields['scores'])[:80]}",
            where=path,
            remedy="remove `scores` from these records, or make them again",
        ) from None
    for item, likely in [pair for pair in scores if pair[0] != negative][:positives]:
        yield item, negative, confidence(likely, unlikely)


def _weight(sure: float | None, variant: Variant) -> float:
    """How much an edge counts; 0 leaves it out. One without confidence counts 1."""
    if sure is None or variant.edge_confidence == "none":
        return 1.0
    if variant.edge_confidence == "weight":
        return sure
    return float(sure >= variant.edge_threshold)
