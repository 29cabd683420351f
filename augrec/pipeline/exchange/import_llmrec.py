"""LLMRec's released folder as artefacts: data set, candidates, records of the three tasks, and matrices.

What is odd in the files is mended or left out as said in the findings; nothing is dropped without one. Pickles are read
by the restricted unpickler of `recsys.data.released`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from augment.messages import Record
from augment.tasks import TASKS, card_of
from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import sha256_file, write_json, write_text
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.exchange.artefacts import (
    PUBLISHED,
    id_table,
    published_record,
    write_candidates,
    write_matrix,
    write_records,
    write_released,
)
from augrec.pipeline.exchange.attributes import attribute_records
from augrec.pipeline.exchange.findings import begin, finish
from recsys.augmentation import FeatureMatrix
from recsys.data.dataset import Dataset
from recsys.data.released.features import ATTRIBUTES, PROFILE, STACKED_PROFILE
from recsys.data.released.reader import MODALITIES, Findings, Release, read_release
from recsys.data.released.texts import (
    PROFILES,
    WITH_ATTRIBUTES,
    WRITTEN,
    ItemTexts,
    attribute_texts,
    item_texts,
    profile_texts,
)
from recsys.data.released.unpickle import load

SAMPLES, SHOWN = "augmented_sample_dict", "candidate_indices"
WRITTEN_BY = "GPT-3.5 (gpt-3.5-turbo and others), as LLMRec's authors report"
EMBEDDED_BY = "text-embedding-ada-002, as LLMRec's authors report"


def import_llmrec(folder: Path, out: Path) -> dict[str, Any]:
    """Reads `folder`, writes artefacts to `out`, import.json last; returns what it holds.

    Raises:
        DataError: a file is missing, malformed, unsafe or disagrees with the others.
        UsageError: `out` holds something else.
    """
    release = read_release(folder)
    with confined(out):
        return _write(release, out)


def _write(release: Release, out: Path) -> dict[str, Any]:
    folder, findings = release.folder, Findings(release.findings)
    begin(out, "llmrec")
    dataset = release.dataset
    items = item_texts(folder, dataset.n_items, findings.add)
    counts = write_released(_described(dataset, items), RunFolder(out).dataset, _about(release))
    write_text(out / "item_ids.txt", "".join(f"{item}\n" for item in range(dataset.n_items)))
    if release.candidates is not None:
        write_candidates(release.candidates, dataset, RunFolder(out).candidates)
    files = {path.name: sha256_file(path) for path in sorted(folder.iterdir()) if path.is_file()}
    source = RunFolder(out).source(PUBLISHED)
    written = {
        task: write_records(source.root, card_of(TASKS[task]), records)
        for task, records in _records(release, items, findings)
        if records
    }
    write_json(source.engine_json, {"engine": PUBLISHED, "model": WRITTEN_BY, "layout": "llmrec", "files": files})
    matrices = 0
    for stem, task, file, matrix in _matrices(release):
        about = {"source": file, "source_sha256": files[file]}
        made = {} if task is None else {"model": EMBEDDED_BY, "task": task}
        write_matrix(matrix, RunFolder(out).embed / stem, about | made)
        matrices += 1
    records = {
        f"{task}_{status}": getattr(tally, status) for task, tally in written.items() for status in ("ok", "failed")
    }
    counts |= records | {"matrices": matrices}
    return finish(out, {"layout": "llmrec", "folder": folder.name, "files": files, "counts": counts}, findings)


def _about(release: Release) -> dict[str, Any]:
    source = {"format": "llmrec-release", "path": release.folder.name}
    return {"name": f"LLMRec's {release.folder.name}", "source": source, "licence": None, "domain": "movies"}


def _described(dataset: Dataset, texts: ItemTexts) -> Dataset:
    """The data set with what the tables say of the items."""
    columns: dict[str, pa.Array] = {}
    if texts.titles:
        columns = {"original_id": pa.array(texts.original_ids), "title": pa.array(texts.titles, pa.string())}
    if texts.years:
        columns["year"] = pa.array(texts.years, pa.int16())
    if texts.genres:
        columns["genres"] = pa.array(texts.genres, pa.list_(pa.string()))
    return Dataset(
        dataset.n_users,
        dataset.n_items,
        dataset.train,
        dataset.valid,
        dataset.test,
        id_table("item", dataset.n_items, columns),
        id_table("user", dataset.n_users, {}),
    )


def _records(release: Release, items: ItemTexts, findings: Findings) -> Iterator[tuple[str, list[Record]]]:
    """The records of each task that the folder has; an entity that it leaves out is a failed record."""
    folder, dataset = release.folder, release.dataset
    yield "edges", _edges(release)
    profiles = profile_texts(folder, dataset.n_users, findings.add)
    if profiles is not None:
        vague = sum("unknown" in text.casefold() for text in profiles.values())
        findings.add(PROFILES, "profiles say 'unknown' of something", vague, "note")
        yield "user_profile", profile_records("user_profile", profiles, dataset.n_users)
    attributes = attribute_texts(folder, dataset.n_items, findings.add)
    if attributes is not None:
        file = WRITTEN if (folder / WRITTEN).exists() else WITH_ATTRIBUTES
        yield "item_attributes", attribute_records(attributes, items.titles, dataset.n_items, file, findings)


def profile_records(task: str, texts: dict[int, str], n: int, reasons: Mapping[int, str] | None = None) -> list[Record]:
    """One record per entity of its published text, embedded as it is, and of the reasons for it where there are any."""
    why = {entity: {"reasoning": text} for entity, text in (reasons or {}).items()}
    return [
        published_record(task, entity, fields={"profile": text, **why.get(entity, {})}, text=text)
        if (text := texts.get(entity, "")).strip()
        else published_record(task, entity, fields=None, text="", reason="not_published")
        for entity in range(n)
    ]


def _edges(release: Release) -> list[Record]:
    """The published pair of every user; one that no trainer could use is a failed record."""
    path, dataset = release.folder / SAMPLES, release.dataset
    if release.side.edges is None:
        return []
    table = {int(user): (pair[0], pair[1]) for user, pair in load(path).items()}
    records = []
    for user in range(dataset.n_users):
        pair = table.get(user)
        reason = _unusable(pair, dataset.n_items)
        fields = None
        if pair is not None and reason is None:
            fields = {"positive": int(pair[0]), "negative": int(pair[1])}
        text = "" if pair is None else f"{pair[0]}::{pair[1]}"
        shown = () if release.candidates is None else release.candidates[user].tolist()
        records.append(published_record("edges", user, fields=fields, text=text, reason=reason, shown_candidates=shown))
    used = sum(record.status == "ok" for record in records)
    if used != len(release.side.edges):
        raise DataError(f"{used} triplets are usable, {len(release.side.edges)} were read", where=path)
    return records


def _unusable(pair: tuple[Any, Any] | None, n_items: int) -> str | None:
    if pair is None:
        return "not_published"
    if not all(math.isfinite(item) for item in pair):
        return "not_a_number: the pair holds NaN"
    outside = [int(item) for item in pair if not 0 <= item < n_items]
    return f"out_of_range: item {outside[0]} of {n_items}" if outside else None


def _matrices(release: Release) -> Iterator[tuple[Path, str | None, str, FeatureMatrix]]:
    """Where each matrix goes inside embed/, the task it is of (None for the items' own), and the file it is from."""
    for name, matrix in release.side.item.items():
        yield Path("features") / name, None, MODALITIES[name], matrix
    if "profile" in release.side.user:
        name = PROFILE if (release.folder / PROFILE).exists() else STACKED_PROFILE
        yield Path(PUBLISHED) / "user_profile", "user_profile", name, release.side.user["profile"]
    for name, matrix in release.side.attributes.items():
        yield Path(PUBLISHED) / name, "item_attributes", ATTRIBUTES, matrix
