"""A finished run of a few rows, written by hand: no stage runs, so an audit of it takes milliseconds.

Five users and eight items. User 4 has no interaction at all; the times of user 2 repeat. The LLM answered for the users
0 to 3; a second source was replayed from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from augrec.artefacts.files import digest, read_json, read_parquet, sha256_file, write_json, write_npy, write_parquet
from augrec.artefacts.records import RECORD_SCHEMA
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import Attributes, Edges, TaskCard, Text, write_card
from embed.records import text_digest, texts_of_items, texts_of_source

N_USERS, N_ITEMS = 5, 8
SPLITS = ("train", "valid", "test")
TRAIN = [(0, 5, 10), (0, 1, 20), (0, 3, 30), (0, 6, 40), (1, 0, 5), (1, 7, 6), (1, 2, 9),
         (2, 4, 1), (2, 5, 1), (2, 0, 8), (3, 1, 3)]  # fmt: skip
VALID = [(0, 2, 50), (1, 3, 10), (2, 6, 9)]
TEST = [(0, 4, 60), (1, 1, 11), (2, 7, 10), (3, 0, 4)]
HISTORY = {0: [5, 1, 3, 6], 1: [0, 7, 2], 2: [4, 5, 0], 3: [1]}
CANDIDATES = {0: [2, 4, 7], 1: [3, 1, 5], 2: [6, 7, 1], 3: [0, 2, 5]}
PAIRS = {0: (2, 7), 1: (5, 1), 2: (7, 6)}
"""What the LLM said: user 0's positive is in valid, 1's negative in test, 2's positive in test and its negative in
valid. It failed for user 3."""
PROFILES = {0: "Likes westerns.", 1: "Likes musicals.", 3: "Likes silence."}
LONGEST = 3
SOURCE, REPLAYED = "llm", "paper"
CARDS = {
    "edges": TaskCard(name="edges", about="user", gives=Edges()),
    "user_profile": TaskCard(name="user_profile", about="user", gives=Text(field="profile")),
    "item_attributes": TaskCard(name="item_attributes", about="item", gives=Attributes()),
}


def write_run(folder: Path) -> Path:
    """Writes the whole run; returns its folder."""
    run = write_dataset(folder)
    _candidates(run)
    _answers(run)
    _replayed_answers(run)
    seal_summary(run)
    _matrices(run)
    write_json(run.stage_marker("embed"), {"outputs": _hashes(run, run.embed.glob("*/*.npy"))})
    seal_training(run)
    return folder


def write_dataset(folder: Path) -> RunFolder:
    """Writes a run of which nothing but the data set has been made."""
    run = RunFolder(folder)
    rows = [(*row, split) for split, part in zip(SPLITS, (TRAIN, VALID, TEST), strict=True) for row in part]
    columns = dict(zip(("user", "item", "timestamp", "split"), map(list, zip(*rows, strict=True)), strict=True))
    schema = pa.schema([("user", pa.int32()), ("item", pa.int32()), ("timestamp", pa.int64()), ("split", pa.string())])
    write_parquet(run.interactions, pa.table(columns, schema=schema))
    titles = [f"Film {item}" for item in range(N_ITEMS)]
    genres = [["Drama"] if item % 2 else ["War", "Drama"] for item in range(N_ITEMS)]
    sides = {"item": (run.items, N_ITEMS, {"title": titles, "genres": genres}), "user": (run.users, N_USERS, {})}
    for about, (path, size, texts) in sides.items():
        names = [f"{about[0]}{number}" for number in range(size)]
        write_parquet(path, pa.table({about: pa.array(range(size), pa.int32()), "source_id": names} | texts))
    seal_dataset(run)
    run.begin()
    write_json(run.stage_marker("dataset"), {})
    return run


def seal_dataset(run: RunFolder) -> None:
    """Writes `dataset.json` for the interactions as they are."""
    rows = read_parquet(run.interactions).to_pylist()
    triples = sorted((row["user"], row["item"], SPLITS.index(row["split"])) for row in rows)
    packed = b"".join(struct.pack("<iiB", *triple) for triple in triples)
    counts = {name: sum(row["split"] == name for row in rows) for name in SPLITS}
    meta = {"counts": {"users": N_USERS, "items": N_ITEMS} | counts, "split_sha256": hashlib.sha256(packed).hexdigest()}
    write_json(run.dataset_json, meta)


def _candidates(run: RunFolder) -> None:
    rows = [
        {"user": user, "rank": rank, "item": item, "score": -float(rank)}
        for user, items in CANDIDATES.items()
        for rank, item in enumerate(items)
    ]
    write_parquet(run.candidates, pa.Table.from_pylist(rows))
    write_json(run.stage_marker("candidates"), {})


def record(task: str, entity: int, fields: dict[str, Any] | None, **other: Any) -> dict[str, Any]:
    """A row of records.parquet; failed where there are no fields."""
    failed = {} if fields is not None else {"reason": "no_json", "fallback": "masked"}
    row: dict[str, Any] = {
        "key": hashlib.sha256(f"{task}{entity}{other.get('question', '')}".encode()).hexdigest(),
        "task": task,
        "entity": entity,
        "question": "",
        "status": "failed" if fields is None else "ok",
        "reason": None,
        "fields": None if fields is None else json.dumps(fields),
        "text": "",
        "finish_reason": "stop",
        "repairs": [],
        "shown_history": [],
        "shown_candidates": [],
        "dropped_history": 0,
        "fallback": None,
    }
    numbers = dict.fromkeys(("prompt_tokens", "completion_tokens", "cached_tokens", "attempt"), 1)
    return row | numbers | failed | other


def write_answers(run: RunFolder, source: str, card: TaskCard, rows: list[dict[str, Any]]) -> None:
    """The records of a task, and what the task is."""
    task = run.source(source).task(card.name)
    write_parquet(task.records, pa.Table.from_pylist(rows, schema=RECORD_SCHEMA))
    write_card(task.card, card)


def _answers(run: RunFolder) -> None:
    shown = {user: items[-LONGEST:] for user, items in HISTORY.items()}
    edges = [
        record(
            "edges",
            user,
            dict(zip(("positive", "negative"), PAIRS[user], strict=True)) if user in PAIRS else None,
            shown_history=shown[user],
            shown_candidates=CANDIDATES[user],
        )
        for user in HISTORY
    ]
    write_answers(run, SOURCE, CARDS["edges"], edges)
    profiles = [
        record(
            "user_profile", user, {"profile": PROFILES[user]} if user in PROFILES else None, shown_history=shown[user]
        )
        for user in HISTORY
    ]
    profiles[0] |= {"shown_history": [3, 6], "dropped_history": 1}  # one did not fit
    write_answers(run, SOURCE, CARDS["user_profile"], profiles)
    attributes = [record("item_attributes", item, {"director": f"Person {item}"}) for item in range(N_ITEMS)]
    write_answers(run, SOURCE, CARDS["item_attributes"], attributes)


def _replayed_answers(run: RunFolder) -> None:
    """Published records: of one the prompt is known, a prompt of its own kind."""
    edges = [record("edges", user, {"positive": user + 1, "negative": 7}) for user in range(4)]
    edges[0]["shown_history"] = [6, 5]
    write_answers(run, REPLAYED, CARDS["edges"], edges)
    profiles = [record("user_profile", user, {"profile": f"Published {user}."}) for user in range(4)]
    profiles[1]["shown_history"] = [7]
    write_answers(run, REPLAYED, CARDS["user_profile"], profiles)


def seal_summary(run: RunFolder) -> None:
    """Writes `augment/summary.json` for the records as they are."""
    sources = {}
    for source in run.sources():
        counted = {}
        for task in source.tasks():
            status = read_parquet(task.records)["status"].to_pylist()
            ok = status.count("ok")
            counted[task.name] = {"requests": len(status), "ok": ok, "failed": len(status) - ok}
        engine = {"engine": "replay" if source.name == REPLAYED else "vllm"}
        sources[source.name] = {"engine": engine, "tasks": counted}
    write_json(run.summary, {"sources": sources})
    records = [task.records for source in run.sources() for task in source.tasks()]
    write_json(run.stage_marker("augment"), {"outputs": _hashes(run, records)})


def vectors(n: int, missing: tuple[int, ...] = (), seed: int = 0) -> np.ndarray:
    """float32 [n, 3], zero where missing."""
    matrix = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    matrix[list(missing)] = 0
    return matrix


def write_matrix(stem: Path, matrix: np.ndarray, about: dict[str, Any]) -> None:
    write_npy(stem.with_suffix(".npy"), matrix)
    missing = np.flatnonzero(~matrix.any(axis=1)).tolist()
    write_json(stem.with_suffix(".json"), {"missing": missing} | about)


def _matrices(run: RunFolder) -> None:
    own = texts_of_items(run.items)
    for field in ("text", "title"):
        about = {"source_sha256": sha256_file(run.items), "text_sha256": text_digest(own[field])}
        write_matrix(run.matrix("data", field), vectors(N_ITEMS), about)
    seal_source_matrices(run)
    write_matrix(run.matrix("features", "image"), vectors(N_ITEMS, missing=(6,)), {})
    seal_copied_vectors(run)


def seal_source_matrices(run: RunFolder) -> None:
    """The LLM's texts as matrices that were made from the records as they are."""
    written = texts_of_source(run.source(SOURCE).root, N_USERS, N_ITEMS, [*CARDS])
    for field, size in (("user_profile", N_USERS), ("director", N_ITEMS)):
        made = written[field]
        records = run.source(SOURCE).task(made.task).records
        about = {"source_sha256": sha256_file(records), "text_sha256": text_digest(made.texts), "task": made.task}
        missing = tuple(row for row, text in enumerate(made.texts) if text is None)
        write_matrix(run.matrix(SOURCE, field), vectors(size, missing), about)


def elsewhere(run: RunFolder) -> tuple[Path, Path]:
    """The matrix that the replayed vectors came from, and the data set it belongs to."""
    return run.root.parent / "elsewhere" / "user_profile.npy", run.root.parent / "elsewhere" / "dataset"


def seal_copied_vectors(run: RunFolder) -> None:
    """Vectors of the replayed profiles, by source id: the other data set has the same users the other way round."""
    source, dataset = elsewhere(run)
    theirs = vectors(N_USERS, seed=5)
    write_npy(source, theirs)
    ids = [f"u{N_USERS - 1 - number}" for number in range(N_USERS)]
    write_parquet(dataset / "users.parquet", pa.table({"user": pa.array(range(N_USERS), pa.int32()), "source_id": ids}))
    here = theirs[::-1].copy()
    here[4] = 0
    about = {
        "task": "user_profile",
        "records_sha256": sha256_file(run.source(REPLAYED).task("user_profile").records),
        "source": str(source),
        "source_sha256": sha256_file(source),
        "replayed": {"dataset": str(dataset)},
    }
    write_matrix(run.matrix(REPLAYED, "user_profile"), here, about)


def seal_training(run: RunFolder) -> None:
    """Trainings that read everything there is, and a config in which one of them uses two positives of a record."""
    read = [path.relative_to(run.root).as_posix() for path in sorted(run.embed.glob("*/*.npy"))]
    read += [f"augment/{SOURCE}/edges/records.parquet", f"augment/{REPLAYED}/edges/records.parquet"]
    inputs = {name: digest(read_json(run.stage_marker(name))["outputs"]) for name in ("augment", "embed")}
    write_json(run.stage_marker("train"), {"details": {"read": read}, "identity": {"inputs": inputs}})
    variants = {"plain": {"model": "lightgcn"}, "main": {"source": SOURCE, "edge_positives": 2}}
    run.config.write_text(yaml.safe_dump({"variants": variants}))


def _hashes(run: RunFolder, paths: Any) -> dict[str, str]:
    return {path.relative_to(run.root).as_posix(): sha256_file(path) for path in sorted(paths)}
