"""How a blend is fitted: its members one by one, then their weights on validation alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, read_json
from recsys.data.dataset import Dataset
from recsys.evaluation.ranking import evaluate
from recsys.models.blend import Blend, combined
from recsys.models.options.base import FamilyOptions
from recsys.models.options.blend import BlendOptions
from recsys.options import EvaluationOptions, TrainingOptions, TrainingOverrides

GRID = 300  # weightings up to which all are tried; beyond it the best is searched for step by step
CHUNK = 2**22  # scores per member that are in memory while weightings are compared

TrainMember = Callable[[FamilyOptions, str, str], None]
"""Trains a model of these options, with this name and this fingerprint, into its folder."""


def fit_blend(
    blend: Blend,
    options: BlendOptions,
    dataset: Dataset,
    training: TrainingOptions,
    evaluation: EvaluationOptions,
    *,
    folder: Path,
    fingerprint: str,
    train_member: TrainMember,
    device: torch.device,
) -> dict[str, Any]:
    """Trains the members, reads them into `blend`, and chooses its weights.

    A member that an interrupted run has finished, with the same fingerprint and options, is not trained again.

    Args:
        folder: of the members, one each.
        fingerprint: of the blend; a changed one trains every member anew.

    Returns:
        For metrics.json: the weights, each member's own monitored value on validation, how many weightings were tried.

    Raises:
        DataError: there is no validation interaction.
    """
    if not len(dataset.valid):
        raise DataError(
            "there is no validation interaction to choose the blend's weights on",
            remedy="give dataset.split a part for validation",
        )
    for model, (name, given) in zip(blend.members, options.members.items(), strict=True):
        overrides = (given.training or TrainingOverrides()).model_copy(update={"keep_checkpoint": True})
        member = given.model_copy(update={"training": overrides})
        settings = [section.model_dump(mode="json") for section in (member, training, evaluation)]
        own = digest([fingerprint, *settings])
        if not _finished(folder / name, own):
            train_member(member, name, own)
        model.load_state_dict(load_file(folder / name / "model.safetensors"))
    blend.eval()
    tried: dict[tuple[int, ...], float] = {}

    def judge(weightings: Sequence[tuple[int, ...]]) -> None:
        new = [weighting for weighting in dict.fromkeys(weightings) if weighting not in tried]
        if new:
            values = judged(blend, dataset, np.array(new) / options.steps, training.monitor, evaluation, device)
            tried.update(zip(new, values, strict=True))

    count = len(options.members)
    best = search(judge, tried, count, options.steps)
    singles = corners(count, options.steps)
    judge(singles)
    blend.weights.copy_(torch.tensor(best, dtype=torch.float64) / options.steps)
    if not training.keep_checkpoint:
        for name in options.members:
            (folder / name / "model.safetensors").unlink()
    return {
        "monitor": training.monitor,
        "weights": {name: part / options.steps for name, part in zip(options.members, best, strict=True)},
        "valid": tried[best],
        "members": {name: tried[single] for name, single in zip(options.members, singles, strict=True)},
        "tried": len(tried),
    }


def _finished(folder: Path, fingerprint: str) -> bool:
    path = folder / "metrics.json"
    if not (path.exists() and (folder / "model.safetensors").exists()):
        return False
    return read_json(path, remedy="delete this file and run again").get("fingerprint") == fingerprint


def search(
    judge: Callable[[Sequence[tuple[int, ...]]], None], tried: dict[tuple[int, ...], float], count: int, steps: int
) -> tuple[int, ...]:
    """The best weighting, in parts of `steps`: of all, or, where they are too many, of those met on the way up.

    The way starts from the best of the single members and the most even weighting, and moves one part from one member
    to another as long as that is better. Of equally good ones the first tried is taken; the even ones are tried first.

    Args:
        judge: puts the values of weightings into `tried`.
    """
    if comb(steps + count - 1, count - 1) <= GRID:
        judge(simplex(count, steps))
        return max(tried, key=tried.__getitem__)
    even = tuple(steps // count + (position < steps % count) for position in range(count))
    judge([even, *corners(count, steps)])
    best = max(tried, key=tried.__getitem__)
    while True:
        judge(moves(best))
        better = max(tried, key=tried.__getitem__)
        if tried[better] <= tried[best]:
            return best
        best = better


def simplex(count: int, steps: int) -> list[tuple[int, ...]]:
    """All ways to divide `steps` parts among `count` members, the even ones first."""
    bars = combinations(range(steps + count - 1), count - 1)
    divided = [tuple((np.diff([-1, *places, steps + count - 1]) - 1).tolist()) for places in bars]
    return sorted(divided, key=lambda parts: sum(part**2 for part in parts))


def corners(count: int, steps: int) -> list[tuple[int, ...]]:
    """All parts on one member, for each member."""
    return [tuple(steps * (position == member) for position in range(count)) for member in range(count)]


def moves(weighting: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The weightings that are one part, moved from one member to another, away."""
    places = range(len(weighting))
    return [
        tuple(part - (place == source) + (place == target) for place, part in enumerate(weighting))
        for source in places
        for target in places
        if source != target and weighting[source]
    ]


@torch.no_grad()
def judged(
    blend: Blend,
    dataset: Dataset,
    weightings: np.ndarray,
    monitor: str,
    evaluation: EvaluationOptions,
    device: torch.device,
) -> list[float]:
    """The monitored metric on validation of each weighting (float64 [n, members]); members score every user once."""
    totals = np.zeros(len(weightings))
    users = np.flatnonzero(np.diff(dataset.starts("valid")))
    step = max(1, CHUNK // max(dataset.n_items, 1))
    for start in range(0, len(users), step):
        batch = users[start : start + step]
        scores = blend.member_scores(torch.from_numpy(batch).to(device))
        for position, weights in enumerate(weightings.tolist()):

            def blended(_: Tensor, weights: list[float] = weights, scores: list[Tensor] = scores) -> Tensor:
                return combined(scores, weights)

            result = evaluate(
                blended,
                dataset,
                "valid",
                cutoffs=[int(monitor.rpartition("@")[2])],
                tie_seed=evaluation.tie_seed,
                official=evaluation.protocol == "official",
                chunk=len(batch),
                users=batch,
                device=device,
            )
            totals[position] += result.per_user[monitor][batch].sum()
    return (totals / len(users)).tolist()
