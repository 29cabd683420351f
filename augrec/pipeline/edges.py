"""From edge records to the triplets of one variant: how many per user, and what their confidence does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from augment.answers.scoring import confidence
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet
from recsys.augmentation import Edges

if TYPE_CHECKING:
    from augrec.pipeline.config import Variant


def read_edges(path: Path, variant: Variant) -> Edges:
    """The triplets of answered records.

    Args:
        path: `records.parquet` of the task edges.
        variant: `edge_positives`, `edge_confidence` and `edge_threshold` are read.

    Returns:
        Edges in the order of the records, a user's likeliest first. Those of weight 0 are left out: the model did not
        tell the two items apart, and a triplet without weight could still take a place in a pruned batch.

    Raises:
        DataError: a record's scores are not pairs of item and probability.
    """
    records = read_parquet(path, remedy="run `augrec augment CONFIG`")
    columns = (records[name].to_pylist() for name in ("entity", "status", "fields"))
    rows, weights = [], []
    for entity, status, text in zip(*columns, strict=True):
        if status != "ok":
            continue
        for positive, negative, sure in _triplets(json.loads(text), variant.edge_positives, path):
            if weight := _weight(sure, variant):
                rows.append((entity, positive, negative))
                weights.append(weight)
    ids = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Edges.from_arrays(ids[:, 0], ids[:, 1], ids[:, 2], np.array(weights, dtype=np.float32))


def read_shown_candidates(path: Path) -> dict[int, list[int]]:
    """user -> the candidates that the user's answered record showed.

    Args:
        path: `records.parquet` of the task edges.
    """
    records = read_parquet(path, remedy="run `augrec augment CONFIG`")
    if "shown_candidates" not in records.column_names:
        return {}
    columns = (records[name].to_pylist() for name in ("entity", "status", "shown_candidates"))
    return {entity: shown or [] for entity, status, shown in zip(*columns, strict=True) if status == "ok"}


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
