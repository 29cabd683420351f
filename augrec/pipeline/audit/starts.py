"""The audit of what trainings started from, read without the code that read it for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from augrec.artefacts.files import read_parquet
from augrec.artefacts.run_folder import DatasetFolder, RunFolder
from augrec.pipeline.audit.checks import Check, Split
from augrec.pipeline.audit.saved_config import saved_config
from augrec.pipeline.config.run_config import counts_from


def audit_starts(folder: Path, split: Split) -> list[Check]:
    """No interaction that is held out here was a training interaction of a run that a variant starts from.

    Pairs are compared by what the source calls their user and item. A run that is gone is passed over, and nothing is
    said where no variant starts from one.
    """
    rows, problems = 0, []
    for run in _runs_started_from(folder):
        dataset = DatasetFolder(run.dataset)
        if not dataset.interactions.exists():
            continue
        here = _pairs_by_name(RunFolder(folder).dataset, split.pairs)
        frame = read_parquet(dataset.interactions, columns=["user", "item", "split"]).to_pandas()
        train = frame.loc[frame["split"] == "train", ["user", "item"]].to_numpy(dtype=np.int64)
        trained = _pairs_by_name(run.dataset, {"train": train})["train"]
        rows += len(trained)
        problems += [
            f"{run.root}: user {user!r}, item {item!r} is in train there and held out here"
            for user, item in sorted(trained & (here["valid"] | here["test"]))
        ]
    if not rows:
        return []
    return [Check("what trainings start from saw nothing that is held out here", rows, tuple(problems))]


def _runs_started_from(folder: Path) -> list[RunFolder]:
    """The runs that the variants of a run's config name, each once."""
    path = RunFolder(folder).config
    variants = (saved_config(folder).get("variants") or {}).values()
    named = [variant["start_from"]["run"] for variant in variants if variant.get("start_from")]
    root = (counts_from(path) if named else None) or Path()
    return [RunFolder(root / name) for name in dict.fromkeys(named)]


def _pairs_by_name(dataset: Path, pairs: dict[str, np.ndarray]) -> dict[str, set[tuple[str, str]]]:
    files = DatasetFolder(dataset)
    users, items = (
        read_parquet(path).sort_by(about)["source_id"].to_pylist()
        for path, about in ((files.users, "user"), (files.items, "item"))
    )
    return {
        name: {(str(users[user]), str(items[item])) for user, item in part.tolist()} for name, part in pairs.items()
    }
