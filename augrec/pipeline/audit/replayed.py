"""The audit of records that were written elsewhere: published ones, or an earlier run's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.files import read_parquet, sha256_file
from augrec.artefacts.matrices import EMBED_AGAIN, read_matrix
from augrec.artefacts.run_folder import DatasetFolder, RunFolder
from augrec.pipeline.audit.checks import Asked, Check, Split
from augrec.pipeline.audit.edges import named_items
from augrec.pipeline.audit.interactions import read_split
from augrec.pipeline.audit.saved_config import saved_config


def audit_replayed(name: str, task: Asked, records: list[dict[str, Any]], split: Split) -> list[Check]:
    """Records written elsewhere saw other prompts; where these are known, they held nothing that is held out here."""
    checks = []
    if task.about == "user":
        told = [record for record in records if record["status"] == "ok" and len(record["shown_history"])]
        problems = [
            f"user {record['entity']}: item {stray[0]} is not in train (key {record['key'][:12]})"
            for record in told
            if (stray := sorted(set(record["shown_history"]) - set(split.train_history.get(record["entity"], []))))
        ]
        checks.append(Check(f"{name}: prompts, where known, showed training history only", len(told), tuple(problems)))
    if task.kind == "edges":
        named = [
            (record["entity"], side, item)
            for record in records
            if record["status"] == "ok"
            for side, item in named_items(json.loads(record["fields"]))
        ]
        unknown = [
            f"user {user}: {side} {item} is no item" for user, side, item in named if not 0 <= item < split.n_items
        ]
        checks.append(Check(f"{name}: pairs name known items", len(named), tuple(unknown)))
    return checks


def audit_foreknown(
    folder: Path, source: str, name: str, task: Asked, records: list[dict[str, Any]], split: Split
) -> list[Check]:
    """Texts whose prompts nobody kept were written over data that trains on no test interaction of this run.

    Nothing is known of records whose data set is not there any more.
    """
    if task.about != "user" or any(len(record["shown_history"]) for record in records):
        return []
    sources = (saved_config(folder).get("generation") or {}).get("sources") or {}
    engine = (sources.get(source) or {}).get("engine") or {}
    place = Path(engine.get("records") or "")
    beside = [Path(engine["dataset"])] if engine.get("dataset") else [RunFolder(place).dataset, *_above(place)]
    other = next((there for there in beside if DatasetFolder(there).interactions.exists()), None)
    if other is None:
        return []
    trained, test = read_split(other).pairs["train"].tolist(), split.pairs["test"].tolist()
    if engine.get("match") != "position":
        trained, test = _by_source_ids(other, trained), _by_source_ids(RunFolder(folder).dataset, test)
    known = set(map(tuple, trained))
    problems = [
        f"user {user}: test item {item!r} is a training interaction in {other}"
        for (user, _), (called, item) in zip(split.pairs["test"].tolist(), test, strict=True)
        if (called, item) in known
    ]
    return [Check(f"{name}: written over no test interaction", len(test), tuple(problems))]


def _by_source_ids(dataset: Path, pairs: list[list[int]]) -> list[list[str]]:
    users, items = (_source_ids(dataset, about) for about in ("user", "item"))
    return [[users[user], items[item]] for user, item in pairs]


def _above(place: Path) -> list[Path]:
    """The data set of the run or import whose source this is."""
    return [RunFolder(folder).dataset for folder in place.resolve().parents[1:2]]


def audit_vectors(folder: Path, path: Path, matrix: np.ndarray, meta: dict[str, Any], task: Asked) -> list[str]:
    """What is wrong with a matrix that was copied with replayed records.

    Only records that take part have a vector. Where the matrix it came from is still there, every row equals that of
    the same source id; one that has changed since is a violation, one that is gone is not.
    """
    about = task.about
    records = RunFolder(folder).source(path.parent.name).task(task.name).records
    if sha256_file(records) != meta["records_sha256"]:
        return [f"was copied for another version of {records.relative_to(folder)}"]
    rows = read_parquet(records).select(["entity", "status", "fields"]).to_pylist()
    answered: dict[int, dict[str, Any]] = {}
    for row in rows:
        if row["status"] == "ok":
            answered.setdefault(row["entity"], {}).update(json.loads(row["fields"]))
    present = np.flatnonzero(np.any(matrix, axis=1)).tolist()
    problems = []
    if task.kind == "text" or any(path.stem in fields for fields in answered.values()):
        problems = [f"row {row} has a vector, and no record that takes part" for row in present if row not in answered]
    source, other = Path(meta["source"]), meta["replayed"]["dataset"]
    if not source.exists() or (other and not Path(other).exists()):
        return problems
    if sha256_file(source) != meta["source_sha256"]:
        return [*problems, f"was copied from another version of {source}"]
    theirs = read_matrix(source, remedy=EMBED_AGAIN)
    here = _source_ids(RunFolder(folder).dataset, about)
    place = {name: row for row, name in enumerate(_source_ids(Path(other), about) if other else here)}
    strays = [
        row for row in present if here[row] not in place or not np.array_equal(matrix[row], theirs[place[here[row]]])
    ]
    return problems + [f"row {row} is not the vector of {about} {here[row]!r} in {source}" for row in strays]


def _source_ids(dataset: Path, about: str) -> list[str]:
    files = DatasetFolder(dataset)
    table = read_parquet(files.users if about == "user" else files.items).sort_by(about)
    return [str(name) for name in table["source_id"].to_pylist()]
