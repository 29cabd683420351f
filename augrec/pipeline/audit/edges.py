"""What an edge record says, read without the code that wrote it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from augrec.pipeline.audit.checks import read_variants

SUM_TOLERANCE = 1e-4


def named_items(fields: dict[str, Any]) -> list[tuple[str, int]]:
    """Every item in a record's fields, and what is said of it."""
    pair = [(side, fields[side]) for side in ("positive", "negative")]
    return pair + [("scored", item) for item, _ in fields.get("scores", [])]


def pairs_of(fields: dict[str, Any], positives: int) -> list[tuple[int, int]]:
    """The (positive, negative) pairs of a record: one, or as many as are trained on where every candidate is scored."""
    if "scores" not in fields:
        return [(fields["positive"], fields["negative"])]
    likely = [item for item, _ in fields["scores"] if item != fields["negative"]]
    return [(item, fields["negative"]) for item in likely[:positives]]


def positives_trained_on(folder: Path, source: str, task: str) -> int:
    """The most positives of a task's record that a variant of the run trains on; 1 where no config says otherwise."""
    used = [
        variant
        for variant in read_variants(folder)
        if variant.get("source") == source and (variant.get("change") or {}).get(task) != "none"
    ]
    return max((int(variant.get("edge_positives") or 1) for variant in used), default=1)


def wrong_scores(fields: dict[str, Any], shown: set[int]) -> list[str]:
    """What is wrong with the scores of a record; nothing where it has none."""
    if "scores" not in fields:
        return []
    items, values = [item for item, _ in fields["scores"]], [value for _, value in fields["scores"]]
    problems = []
    if len(items) != len(shown) or set(items) != shown:
        problems.append("not every candidate shown has one score")
    elif items[0] != fields["positive"] or items[-1] != fields["negative"]:
        problems.append("the pair is not that of the highest and the lowest score")
    if values != sorted(values, reverse=True) or not all(0 <= value <= 1 for value in values):
        problems.append("scores are not probabilities in falling order")
    elif abs(math.fsum(values) - 1) > SUM_TOLERANCE:
        problems.append(f"scores add up to {math.fsum(values):.4f}")
    return problems
