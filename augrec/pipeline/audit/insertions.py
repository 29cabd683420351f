"""The audit of items that are put into training sequences: unseen ones that a prompt offered, before the last item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.audit.checks import Asked, Check, Split
from augrec.pipeline.audit.saved_config import saved_config


def audit_insertions(folder: Path, split: Split) -> list[Check]:
    """What trainings are given in their sequences: items without a training interaction, before the last one.

    Nothing is said where no variant is given any, or where the data are wrong, which others say.
    """
    from augrec.pipeline.config.run_config import Variant
    from augrec.pipeline.side.side_information import side_information
    from recsys.data.dataset import Dataset

    run = RunFolder(folder)
    config = saved_config(folder)
    variants = {
        name: plain for name, plain in (config.get("variants") or {}).items() if _inserts(run, plain.get("source"))
    }
    if not variants:
        return []
    try:
        dataset = Dataset.load(run.dataset)
    except DataError:
        return []
    count, problems = 0, []
    for name, plain in variants.items():
        for seed in run.seeds(name):
            given = side_information(folder, Variant.model_validate(plain), dataset, seed).insertions
            for user, item, place in zip(given.user, given.item, given.position, strict=True) if given else ():
                count += 1
                train = split.train_history.get(int(user), [])
                if int(item) in train or not 0 <= place < len(train):
                    problems.append(f"{name}, seed {seed}: user {user}, item {item} at place {place}")
    return [Check("insertions are unseen items before the last one", count, tuple(problems))] if count else []


def _inserts(run: RunFolder, source: str | None) -> bool:
    if source is None or not run.summary.exists():
        return False
    tasks = (read_json(run.summary)["sources"].get(source) or {}).get("tasks") or {}
    return any(read_json(run.source(source).task(task).card)["gives"]["kind"] == "insertions" for task in tasks)


def wrong_picks(records: list[dict[str, Any]], task: Asked, split: Split) -> tuple[str, ...]:
    """What is wrong with picked items: each is one of those shown, which have no interaction in training."""
    problems = []
    for record in records:
        user, shown = record["entity"], list(record["shown_candidates"])
        for item in sorted(set(shown) & set(split.train_history.get(user, []))):
            problems.append(f"user {user}: item {item} was shown as a choice but is in train")
        if record["status"] == "ok" and json.loads(record["fields"])["item"] not in shown:
            problems.append(f"user {user}: what {task.name} named was not among the choices shown")
    return tuple(problems)
