"""The audit of files as such: nobody changed them since their stage ended, and metrics follow from their users."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.dataset_json import content_hash
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, read_parquet, sha256_file
from augrec.artefacts.run_folder import MARKER, DatasetFolder, TrainingFolder
from augrec.pipeline.audit.checks import Check

ROUNDING = 1e-6
"""Relative; other machines add up in another order."""


def audit_outputs(folder: Path) -> list[Check]:
    """What finished stages list as written is there with the hash that it had, and metrics follow from their users."""
    written, changed = 0, list[str]()
    compared, wrong = 0, list[str]()
    for marker in sorted(folder.glob(f"*/{MARKER}")):
        outputs = read_json(marker).get("outputs") or {}
        written += len(outputs)
        for name, sha256 in outputs.items():
            path = folder / name
            if not path.is_file():
                changed.append(f"{name} was written by the stage in {marker.parent.name} and is gone")
            elif _hash(path) != sha256:
                changed.append(f"{name} is not what the stage in {marker.parent.name} wrote")
            training = TrainingFolder(path.parent)
            if path == training.metrics and path.is_file() and training.per_user.is_file():
                count, problems = _compare(training)
                compared += count
                wrong += [f"{name}: {problem}" for problem in problems]
    checks = [
        Check("files are as their stages wrote them", written, tuple(changed)),
        Check("metrics are means over users", compared, tuple(wrong)),
    ]
    return [check for check in checks if check.rows or check.violations]


def _hash(path: Path) -> str:
    """As the marker has it."""
    if path != DatasetFolder(path.parent).about:
        return sha256_file(path)
    try:
        return content_hash(path)
    except (DataError, AttributeError):
        return ""


def _compare(training: TrainingFolder) -> tuple[int, list[str]]:
    """How many metrics have values per user, and those whose mean is another one."""
    try:
        means, table = read_json(training.metrics)["test"], read_parquet(training.per_user)
        shared = [(name, means[name], _mean(table[name].to_numpy())) for name in table.column_names if name in means]
    except (DataError, KeyError, TypeError) as error:
        return 0, [f"cannot be compared with {training.per_user.name}: {error}"]
    different = [
        f"{name} is {said}, and {mean} over the users of {training.per_user.name}"
        for name, said, mean in shared
        if not _same(said, mean)
    ]
    return len(shared), different


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _same(said: Any, mean: float | None) -> bool:
    if said is None or mean is None:
        return said is mean
    return isinstance(said, int | float) and math.isclose(said, mean, rel_tol=ROUNDING, abs_tol=ROUNDING)
