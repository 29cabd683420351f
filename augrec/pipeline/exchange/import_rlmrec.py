"""RLMRec's released folder as artefacts: the given split, and the profile texts of users and items as records.

A profile is prose: it becomes the field `profile`, which is embedded as it is, without a label. The reasons for it,
where they are published, become the field `reasoning`, which is not embedded. Edges that an LLM added to training,
where they are published, become one record each.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from augment.messages import Record
from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import parse_json, sha256_file, write_json, write_text
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import About, Insertions, TaskCard, Text
from augrec.pipeline.exchange.artefacts import PUBLISHED, id_table, published_record, write_records, write_released
from augrec.pipeline.exchange.findings import begin, finish
from augrec.pipeline.exchange.import_llmrec import profile_records
from recsys.data.dataset import Dataset
from recsys.data.released.reader import Findings
from recsys.data.released.rlmrec import ADDED, TEXTS, RlmrecRelease, read_rlmrec

CARDS: dict[About, TaskCard] = {
    "user": TaskCard(name="user_profile", about="user", gives=Text(field="profile")),
    "item": TaskCard(name="item_profile", about="item", gives=Text(field="profile")),
}
"""What the published texts are; the prompts they were written from are not asked here."""
ADDED_EDGES = TaskCard(name="added_edges", about="user", gives=Insertions())
"""Items that a published system's LLM put beside a user's own; which candidates it chose from is not published."""
MAPPERS = ("{about}_mapper.jsonl", "mapper/*_{about}.json")
"""Where the ids of the data's own source may lie, as lines of JSON."""
MAPPER_REMEDY = "use the mapper of the same release, one JSON object a line, or take the file away: it is not needed"
ROW_KEYS = ("uid", "iid")
WRITTEN_BY = "gpt-3.5-turbo, as RLMRec's authors report"
DOMAINS = {"amazon": "books", "yelp": "businesses", "steam": "games"}


def import_rlmrec(folder: Path, out: Path) -> dict[str, Any]:
    """Reads `folder`, writes artefacts to `out`, import.json last; returns what it holds.

    Raises:
        DataError: a file is missing, malformed, unsafe or disagrees with the others.
        UsageError: `out` holds something else.
    """
    release = read_rlmrec(folder)
    with confined(out):
        return _write(release, folder, out)


def _write(release: RlmrecRelease, folder: Path, out: Path) -> dict[str, Any]:
    findings, read = Findings(), dict(release.files)
    begin(out, "rlmrec")
    dataset = release.dataset
    sizes, texts = (
        {"user": dataset.n_users, "item": dataset.n_items},
        {"user": (release.user_texts, release.user_reasons), "item": (release.item_texts, release.item_reasons)},
    )
    tables = {}
    for about, size in sizes.items():
        original, path = _original_ids(folder, about, size, findings)
        if path is not None:
            read[path.relative_to(folder).as_posix()] = path
        tables[about] = id_table(about, size, {"original_id": pa.array(original, pa.string())} if path else {})
    described = Dataset(
        dataset.n_users, dataset.n_items, dataset.train, dataset.valid, dataset.test, tables["item"], tables["user"]
    )
    domain = next((name for part, name in DOMAINS.items() if part in folder.name.casefold()), None)
    source = {"format": "rlmrec", "path": folder.name}
    name = {"name": f"RLMRec's {folder.name}", "source": source, "licence": None, "domain": domain}
    counts = write_released(described, RunFolder(out).dataset, name)
    write_text(out / "item_ids.txt", "".join(f"{item}\n" for item in range(dataset.n_items)))
    target = RunFolder(out).source(PUBLISHED)
    for about, card in CARDS.items():
        task = card.name
        if TEXTS[about] not in release.files:
            findings.add(TEXTS[about], "file is absent; there are no texts", 1, "note")
            continue
        profiles, reasons = map(_present, texts[about])
        tally = write_records(target.root, card, profile_records(task, profiles, sizes[about], reasons))
        counts |= {f"{task}_ok": tally.ok, f"{task}_failed": tally.failed}
        findings.add(TEXTS[about], f"{about}s have no profile", tally.failed)
    if release.added is not None:
        counts |= {"added_edges": write_records(target.root, ADDED_EDGES, _edge_records(release, findings)).ok}
    files = {shown: sha256_file(path) for shown, path in sorted(read.items())}
    write_json(target.engine_json, {"engine": PUBLISHED, "model": WRITTEN_BY, "layout": "rlmrec", "files": files})
    return finish(out, {"layout": "rlmrec", "folder": folder.name, "files": files, "counts": counts}, findings)


def _edge_records(release: RlmrecRelease, findings: Findings) -> list[Record]:
    """One record for each added edge; a user's are numbered. What is odd about them joins the findings."""
    assert release.added is not None
    dataset, file = release.dataset, next(name for name in release.files if fnmatch(name, ADDED))
    findings.add(file, "training interactions are missing from it; training is as trn_mat.pkl says", release.lost)
    for split in ("valid", "test"):
        held_out = np.isin(release.added @ [dataset.n_items, 1], dataset.pairs(split) @ [dataset.n_items, 1]).sum()
        findings.add(file, f"added edges are {split} interactions", held_out, "note")
    first = np.searchsorted(release.added[:, 0], release.added[:, 0])
    return [
        published_record(
            ADDED_EDGES.name, user, fields={"item": item}, text=str(item), question="" if n == at else str(n - at)
        )
        for n, ((user, item), at) in enumerate(zip(release.added.tolist(), first.tolist(), strict=True))
    ]


def _present(texts: Sequence[str | None]) -> dict[int, str]:
    """What is a text: the authors' prompt asks for "None" where there is nothing to say."""
    return {row: text for row, text in enumerate(texts) if text is not None and text.strip(' ".').casefold() != "none"}


def _original_ids(folder: Path, about: str, size: int, findings: Findings) -> tuple[list[str | None], Path | None]:
    """What the data's source calls each id, and the file that says so; (nothing, None) without one."""
    found = [path for pattern in MAPPERS for path in sorted(folder.glob(pattern.format(about=about)))]
    original: list[str | None] = [None] * size
    if not found:
        findings.add(MAPPERS[0].format(about=about), "file is absent; the source's own ids are not known", 1, "note")
        return original, None
    path = found[0]
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            entry = parse_json(line)
            row = next(entry[key] for key in ROW_KEYS if key in entry)
            name = next(value for key, value in entry.items() if key not in ROW_KEYS)
            known = type(row) is int and 0 <= row < size
        except (ValueError, TypeError, AttributeError, StopIteration):
            raise DataError(
                'expected {"uid" or "iid": id, ...: name}', where=f"{path}, line {number}", remedy=MAPPER_REMEDY
            ) from None
        if not known:
            raise DataError(f"id {row} is outside 0..{size - 1}", where=f"{path}, line {number}", remedy=MAPPER_REMEDY)
        original[row] = str(name)
    findings.add(path.name, f"{about}s have no id of the source", sum(name is None for name in original))
    return original, path
