"""The audit of what the LLM was shown, what it answered, and what was embedded."""

from __future__ import annotations

import json
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, read_json, read_parquet, sha256_file
from augrec.artefacts.matrices import ANY_MATRIX, EMBED_AGAIN, SUFFIX, read_matrix
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.audit.checks import Asked, Check, Split, read_task
from augrec.pipeline.audit.edges import named_items, pairs_of, positives_trained_on, wrong_scores
from augrec.pipeline.audit.hints import audit_similar
from augrec.pipeline.audit.insertions import wrong_picks
from augrec.pipeline.audit.replayed import audit_foreknown, audit_replayed, audit_vectors
from augrec.pipeline.audit.reviews import audit_reviews
from augrec.pipeline.audit.saved_config import saved_config
from augrec.pipeline.side.side_information import DATA_GROUP, FEATURES_GROUP
from embed.records import FieldTexts, text_digest, texts_of_items, texts_of_source

Texts = dict[str, FieldTexts]
"""A text or None per row, by field."""


def audit_records(
    folder: Path, source: str, summary: dict[str, Any], split: Split
) -> tuple[list[Check], dict[str, int]]:
    """Every request has one record, and every list shown to the LLM holds training history only.

    Returns:
        The checks of one source, and how many of its augmented pairs are held-out interactions.
    """
    candidates = _candidate_lists(folder)
    replayed = str((summary.get("engine") or {}).get("engine", "")).startswith("replay")
    checks: list[Check] = []
    edges: list[tuple[int, int, int]] = []
    for name, counted in summary["tasks"].items():
        task = read_task(folder, source, name)
        path = RunFolder(folder).source(source).task(name).records
        records = read_parquet(path, remedy="run `augrec augment CONFIG`").to_pylist()
        title = f"{source} {name}"
        problems = _counts(records, counted, task, split, summary.get("users"))
        checks.append(Check(f"{title}: one record per request", len(records), problems))
        if task.reads and not replayed:
            problems = tuple(f"{read} is not there" for read in task.reads if read not in summary["tasks"])
            checks.append(Check(f"{title}: the answers it quotes are there", len(task.reads), problems))
        if replayed:
            checks += audit_replayed(title, task, records, split)
            checks += audit_foreknown(folder, source, title, task, records, split)
        elif task.about == "user":
            problems = _sample(records, split) if task.sampled else _history(records, split)
            checks.append(Check(f"{title}: prompts show training history only", len(records), problems))
            checks += audit_similar(folder, title, records, split)
        checks += audit_reviews(title, task, records, RunFolder(folder).dataset, replayed=replayed)
        if task.kind == "edges" and not replayed:
            where = "the candidates" if task.from_candidates else "what was shown, and is not in train"
            problems = _pairs(records, candidates if task.from_candidates else None, split)
            checks.append(Check(f"{title}: pairs come from {where}", len(records), problems))
        if task.kind == "insertions" and not replayed:
            problems = wrong_picks(records, task, split)
            checks.append(
                Check(f"{title}: picks come from what was shown, and are not in train", len(records), problems)
            )
        if task.kind == "edges":
            edges += _edges(records, positives_trained_on(folder, source, name))
    return checks, _overlap(edges, split)


def _counts(
    records: list[dict[str, Any]], counted: dict[str, Any], task: Asked, split: Split, asked: int | None
) -> tuple[str, ...]:
    """What is wrong with the number of records, where `asked` users were drawn to be asked about (None: all)."""
    problems = []
    found = Counter(record["status"] for record in records)
    expected = {"requests": len(records), "ok": found["ok"], "failed": found["failed"]}
    problems += [
        f"summary.json counts {counted[key]} {key}, the records hold {value}"
        for key, value in expected.items()
        if counted[key] != value
    ]
    keys = Counter(record["key"] for record in records)
    problems += [f"key {key} has several records" for key, count in keys.items() if count > 1]
    questions = Counter((record["entity"], record["question"]) for record in records)
    problems += [
        f"entity {entity} has several records{f' of the question {question!r}' if question else ''}"
        for (entity, question), count in questions.items()
        if count > 1
    ]
    entities = {record["entity"] for record in records}
    users = task.about == "user"
    wanted = set(split.train_history) if users else set(range(split.n_items))
    if users and asked is not None:
        problems += [f"user {user} was drawn and has no history" for user in sorted(entities - wanted)]
        problems += [f"{asked} users were drawn, {len(entities)} have a record"] if len(entities) != asked else []
    else:
        problems += [f"entity {entity} has no record" for entity in sorted(wanted - entities)]
    known = range(split.n_users if users else split.n_items)
    problems += [f"entity {entity} does not exist" for entity in sorted(entities - set(known))]
    problems += [
        f"entity {record['entity']} failed without a reason or fallback"
        for record in records
        if record["status"] == "failed" and not (record["reason"] and record["fallback"])
    ]
    return tuple(problems)


def _history(records: list[dict[str, Any]], split: Split) -> tuple[str, ...]:
    """The items shown are the user's latest training items, in order, and nothing else.

    As many as were asked for: all of them, or the longest history that anybody was shown, less those that the record
    says were dropped to fit.
    """
    problems = []
    asked = [len(record["shown_history"]) + record["dropped_history"] for record in records if record["status"] == "ok"]
    longest = max(asked, default=0)
    for record in records:
        shown = list(record["shown_history"])
        train = split.train_history.get(record["entity"], [])
        expected = min(len(train), longest) - record["dropped_history"]
        if record["status"] == "ok" and len(shown) != expected:
            problems.append(f"user {record['entity']}: {len(shown)} items of the history were shown, not {expected}")
        if shown != train[len(train) - len(shown) :]:
            stray = [item for item in shown if item not in train]
            what = f"item {stray[0]} is not in train" if stray else "not the latest training items in order"
            problems.append(f"user {record['entity']}: {what} (key {record['key'][:12]})")
    return tuple(problems)


def _sample(records: list[dict[str, Any]], split: Split) -> tuple[str, ...]:
    """The items shown are some of the user's training items, each once, oldest first, and as many as there can be."""
    problems = []
    asked = [len(record["shown_history"]) + record["dropped_history"] for record in records if record["status"] == "ok"]
    most = max(asked, default=0)
    for record in records:
        shown, train = list(record["shown_history"]), split.train_history.get(record["entity"], [])
        expected = min(len(train), most) - record["dropped_history"]
        if record["status"] == "ok" and len(shown) != expected:
            problems.append(f"user {record['entity']}: {len(shown)} items of the history were shown, not {expected}")
        places = [train.index(item) if item in train else -1 for item in shown]
        if -1 in places:
            what = f"item {shown[places.index(-1)]} is not in train"
            problems.append(f"user {record['entity']}: {what} (key {record['key'][:12]})")
        elif places != sorted(set(places)):
            problems.append(f"user {record['entity']}: not training items in order (key {record['key'][:12]})")
    return tuple(problems)


def _pairs(records: list[dict[str, Any]], candidates: dict[int, set[int]] | None, split: Split) -> tuple[str, ...]:
    """What is wrong with the items shown and named; `candidates` is None where others may be shown."""
    problems = []
    for record in records:
        user, shown = record["entity"], set(record["shown_candidates"])
        listed = shown if candidates is None else candidates.get(user, set())
        for item in sorted(shown - listed):
            problems.append(f"user {user}: item {item} was shown but is not in candidates.parquet")
        for item in sorted(shown & set(split.train_history.get(user, []))):
            problems.append(f"user {user}: item {item} was shown as a candidate but is in train")
        if record["status"] == "ok":
            fields = json.loads(record["fields"])
            for side, item in named_items(fields):
                if item not in shown:
                    problems.append(f"user {user}: {side} {item} was not among the candidates shown")
            problems += [f"user {user}: {problem}" for problem in wrong_scores(fields, shown)]
    return tuple(problems)


def _edges(records: list[dict[str, Any]], positives: int) -> list[tuple[int, int, int]]:
    """(user, positive, negative) of the answered records, with up to so many positives of each."""
    answered = [(record["entity"], json.loads(record["fields"])) for record in records if record["status"] == "ok"]
    return [(user, *pair) for user, fields in answered for pair in pairs_of(fields, positives)]


def _overlap(edges: list[tuple[int, int, int]], split: Split) -> dict[str, int]:
    """How many edges there are, and how many of them are held out."""
    found = {"edges": len(edges)}
    for place, side in enumerate(("positive", "negative"), start=1):
        pairs = np.array([(edge[0], edge[place]) for edge in edges], dtype=np.int64).reshape(-1, 2)
        for name in ("valid", "test"):
            found[f"{side}s_in_{name}"] = int(np.isin(split.key(pairs), split.keys(name)).sum())
    return found


def _candidate_lists(folder: Path) -> dict[int, set[int]]:
    path = RunFolder(folder).candidates
    if not path.exists():
        return {}
    frame = read_parquet(path).to_pandas()
    return {int(user): set(items.astype(int)) for user, items in frame.groupby("user")["item"]}


def audit_embeddings(folder: Path, split: Split) -> list[Check]:
    """Each matrix has a row per entity, was made from exactly the text that is on disk, and masks what is missing.

    One that was copied instead must agree with the matrix it came from, see `audit_vectors`.
    """
    checks = []
    for group, paths in groupby(_matrices(folder), lambda path: path.parent.name):
        texts = _texts(folder, group, split)
        for path in paths:
            rows, problems = _embedding(folder, path, split, texts)
            checks.append(Check(f"embedding {group}/{path.stem}", rows, problems))
    return checks


def audit_reads(folder: Path) -> list[Check]:
    """Everything that a training was given was looked at: a file that no check covers is a violation."""
    marker = read_json(RunFolder(folder).stage_marker("train"))
    read = (marker.get("details") or {}).get("read")
    inputs = (marker.get("identity") or {}).get("inputs") or {}
    if not isinstance(read, list) or any(
        inputs.get(stage) != _content(folder, stage) for stage in ("augment", "embed")
    ):
        return []  # made by a version that did not say, or from what lay here before
    tasks = [
        RunFolder(folder).source(source).task(task)
        for source, content in _summary(folder).items()
        for task in content["tasks"]
    ]
    files = [*_matrices(folder), *(path for task in tasks for path in (task.records, task.card))]
    checked = {path.relative_to(folder).as_posix() for path in files}
    strays = [f"{name} was read, and no check covers it: the run's config does not name it" for name in read
              if name not in checked]  # fmt: skip
    return [Check("trainings read what was checked", len(read), tuple(strays))]


def _content(folder: Path, stage: str) -> str | None:
    """One hash over what a stage lists as written."""
    path = RunFolder(folder).stage_marker(stage)
    return digest(read_json(path).get("outputs")) if path.exists() else None


def _matrices(folder: Path) -> list[Path]:
    """What the stage embed lists as written; all that is there where it lists nothing."""
    run = RunFolder(folder)
    outputs = read_json(run.stage_marker("embed")).get("outputs") or {}
    listed = [folder / name for name in outputs if name.endswith(SUFFIX)]
    return sorted(listed or run.embed.glob(f"*/{ANY_MATRIX}"))


def _summary(folder: Path) -> dict[str, Any]:
    path = RunFolder(folder).summary
    found: dict[str, Any] = read_json(path)["sources"] if path.exists() else {}
    return found


def _embedding(folder: Path, path: Path, split: Split, texts: Texts | DataError) -> tuple[int, tuple[str, ...]]:
    if not path.exists():
        return 0, ("was written and is gone",)
    matrix = read_matrix(path, remedy=EMBED_AGAIN)
    meta = read_json(path.with_suffix(".json"), remedy="run `augrec embed CONFIG`")
    problems = []
    task = _task_of(folder, path, meta)
    if isinstance(task, str):
        return 0, (task,)
    rows = split.n_users if task is not None and task.about == "user" else split.n_items
    if matrix.ndim != 2 or len(matrix) != rows or matrix.dtype != np.float32:
        problems.append(f"is {matrix.dtype} {matrix.shape}, expected float32 with {rows} rows")
    if matrix.ndim != 2:
        return rows, tuple(problems)
    if not np.isfinite(matrix).all():
        problems.append(f"row {int(np.argmin(np.isfinite(matrix).all(1)))} is not finite")
    zero = set(np.flatnonzero(~np.any(matrix, axis=1)).tolist())
    problems += [f"row {row} is zero but not listed as missing" for row in sorted(zero - set(meta["missing"]))]
    problems += [f"row {row} is listed as missing but not zero" for row in sorted(set(meta["missing"]) - zero)]
    if path.parent.name == FEATURES_GROUP:
        return rows, tuple(problems)
    if "replayed" in meta and task is not None:
        return rows, (*problems, *audit_vectors(folder, path, matrix, meta, task))
    source = RunFolder(folder).items
    if task is not None:
        source = RunFolder(folder).source(path.parent.name).task(task.name).records
    if sha256_file(source) != meta["source_sha256"]:
        problems.append(f"was made from another version of {source.relative_to(folder)}")
    if isinstance(texts, DataError):
        problems.append(f"its text cannot be derived again: {texts.what}")
    elif path.stem not in texts:
        problems.append(f"{source.relative_to(folder)} holds no such field")
    elif text_digest(texts[path.stem].texts) != meta["text_sha256"]:
        problems.append(f"was not made from the text in {source.relative_to(folder)}")
    return rows, tuple(problems)


def _texts(folder: Path, group: str, split: Split) -> Texts | DataError:
    """The texts a group's matrices must have been made from, read again; or why they cannot be."""
    try:
        if group == FEATURES_GROUP:
            return {}
        if group == DATA_GROUP:
            own = texts_of_items(RunFolder(folder).items, text_columns(folder))
            return {field: FieldTexts("", "item", texts) for field, texts in own.items()}
        tasks = (_summary(folder).get(group) or {}).get("tasks", ())
        return texts_of_source(RunFolder(folder).source(group).root, split.n_users, split.n_items, tasks)
    except DataError as error:
        return error


def text_columns(folder: Path) -> list[str] | None:
    """The columns that make the items' own text, where the config names them."""
    embedding = saved_config(folder).get("embedding") or {}
    columns: list[str] | None = embedding.get("columns")
    return columns


def _task_of(folder: Path, path: Path, meta: dict[str, Any]) -> Asked | str | None:
    """The task that a matrix says it is of, None for the data's own; what is wrong where it is of none."""
    group, name = path.parent.name, meta.get("task")
    if group in (DATA_GROUP, FEATURES_GROUP):
        return None
    if not isinstance(name, str) or name not in ((_summary(folder).get(group) or {}).get("tasks") or ()):
        return f"is of the task {name!r}, which the source was not asked"
    return read_task(folder, group, name)
