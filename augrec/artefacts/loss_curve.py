"""The loss of a tuning as it went, `tune/loss.jsonl`: one point a line, in the order of steps."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import atomic_path, parse_json


@dataclass(frozen=True, slots=True)
class LossPoint:
    """What was known after some optimiser steps.

    Args:
        step: optimiser steps so far.
        epoch: passes over the instructions so far, with the part of the present one.
        loss: cross-entropy in nats per token of an answer, the mean over the steps since the point before.
        learning_rate: of the last step.
        tokens: of prompts and answers, computed so far.
        seconds: of training so far, over all of its starts.
    """

    step: int
    epoch: float
    loss: float
    learning_rate: float
    tokens: int
    seconds: float


def write_losses(path: Path, points: Iterable[LossPoint]) -> None:
    """Writes a curve, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(asdict(point)) + "\n" for point in points), encoding="utf-8")


def read_losses(path: Path) -> list[LossPoint]:
    """The points of a curve; none where there is no file.

    Raises:
        DataError: a line is no point, or the steps do not rise.
    """
    if not path.exists():
        return []
    points: list[LossPoint] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            values = parse_json(line)
            point = LossPoint(**{field.name: values[field.name] for field in fields(LossPoint)})
            fits = all(isinstance(value, int | float) and math.isfinite(value) for value in asdict(point).values())
        except (ValueError, LookupError, TypeError):
            fits = False
        if not fits or (points and point.step <= points[-1].step):
            remedy = "`augrec tune CONFIG --force` trains anew"
            raise DataError("the line is no point of a loss curve", where=f"{path}, line {number}", remedy=remedy)
        points.append(point)
    return points
