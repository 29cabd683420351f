"""The texts of a run or an import, probed: do they belong to the ids they stand at?

What is probed is what is embedded: the items' own text, and for each source and task the texts of one entity put
together. Vectors are TF-IDF, whatever model embeds them later, so that the answer is about texts and ids alone.

A probe takes seconds, and audit, report and comparison ask the same: what one found is kept in the folder by the
content of texts and interactions and by the code of the probe, and counts as long as these are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from pydantic import TypeAdapter, ValidationError

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, read_json, write_json
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.tasks import About
from augrec.pipeline.identity.code_identity import code_identity
from augrec.report.measures.alignment import Alignment, alignment
from augrec.report.measures.tf_idf import tf_idf_rows
from embed.records import texts_of_items, texts_of_source

OWN = "the data's own text"

Text = str | None


def probe_texts(
    run: RunFolder,
    tasks: Mapping[str, Iterable[str]],
    train: np.ndarray,
    *,
    n_users: int,
    n_items: int,
    columns: Sequence[str] | None = None,
) -> tuple[Alignment, ...]:
    """Probes every text of a folder in the layout of a run.

    Args:
        run: the folder.
        tasks: source -> the tasks it was asked; those without texts are passed over.
        train: int64 [m, 2] of (user, item): the training interactions and no others.
        n_users, n_items: of the data.
        columns: those that make the items' own text; None takes what describes an item.

    Raises:
        DataError: a file of texts is missing or damaged.
    """
    known, used, probes, answered = _kept(run.alignment), {}, [], _answered_here(run)
    made_of = [code_identity((alignment.__module__, tf_idf_rows.__module__)), _digest_of(train)]
    for of, about, texts in _texts(run, tasks, n_users, n_items, columns):
        key = digest([*made_of, about, digest(texts)])
        found = known.get(key) or alignment(of, about, tf_idf_rows([text or "" for text in texts]), train)
        used[key] = found
        named = replace(found, of=of)
        probes.append(named.with_ids_known() if of.partition(" ")[0] in answered else named)
    if used.keys() != known.keys():
        write_json(run.alignment, {key: asdict(found) for key, found in used.items()})
    return tuple(probes)


def _answered_here(run: RunFolder) -> set[str]:
    """The sources that the run asked itself, so that their texts stand at the ids that were asked about."""
    sources = read_json(run.summary).get("sources") or {} if run.summary.exists() else {}
    engines = {name: str((entry.get("engine") or {}).get("engine", "replay")) for name, entry in sources.items()}
    return {name for name, engine in engines.items() if not engine.startswith("replay")}


def _kept(path: Path) -> dict[str, Alignment]:
    """What was found before, by what it was found of; nothing where the file does not hold what this version keeps."""
    try:
        return TypeAdapter(dict[str, Alignment]).validate_python(read_json(path)) if path.exists() else {}
    except (DataError, ValidationError):
        return {}


def _digest_of(pairs: np.ndarray) -> str:
    """A hash of interactions, int [m, 2], in their order."""
    return hashlib.sha256(np.ascontiguousarray(pairs, dtype="<i8").tobytes()).hexdigest()


def text_vectors(
    run: RunFolder,
    tasks: Mapping[str, Iterable[str]],
    n_users: int,
    n_items: int,
    columns: Sequence[str] | None = None,
) -> Iterator[tuple[str, About, sp.csr_array]]:
    """What is probed: whose texts, of users or items, and a TF-IDF row for each; arguments as for `probe_texts`."""
    for of, about, texts in _texts(run, tasks, n_users, n_items, columns):
        yield of, about, tf_idf_rows([text or "" for text in texts])


def _texts(
    run: RunFolder, tasks: Mapping[str, Iterable[str]], n_users: int, n_items: int, columns: Sequence[str] | None
) -> Iterator[tuple[str, About, list[Text]]]:
    """Whose texts, of users or items, and a text or None for each."""
    own = texts_of_items(run.items, columns)
    if "text" in own:
        yield OWN, "item", own["text"]
    for source, asked in tasks.items():
        fields = texts_of_source(run.source(source).root, n_users, n_items, asked)
        for task in dict.fromkeys(field.task for field in fields.values()):
            parts = [field for field in fields.values() if field.task == task]
            together = (" ".join(filter(None, row)) for row in zip(*(part.texts for part in parts), strict=True))
            yield f"{source} {task}", parts[0].about, [text or None for text in together]


def alignment_lines(found: Iterable[Alignment]) -> list[str]:
    """A line for each probe, as commands print it."""
    return [f"{one.of} ({one.entities:,} {one.about}s by {one.vectors}): {one.verdict}: {one.why}" for one in found]
