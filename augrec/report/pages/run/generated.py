"""What the sources wrote: their records, how often each value occurs, and the data's own genres beside them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet
from augrec.artefacts.named import named_records
from augrec.artefacts.run_folder import RunFolder, TaskFolder
from augrec.artefacts.tasks import TaskCard, read_card

AUGMENT_AGAIN = "run the augment stage again: finished shards are kept"
GENRES_LIKED = "liked_genres"
OUTSIDE = "(not in the data)"
DECODER = json.JSONDecoder()
COLUMNS = ("entity", "status", "reason", "fields", "text")


@dataclass(frozen=True)
class Record:
    """One answer; `fields` is None when the request failed, `text` is what the LLM wrote, untrusted.

    `candidates` is how many items the LLM could choose from; `repairs` says what was mended.
    """

    entity: int
    fields: dict[str, Any] | None
    reason: str | None
    text: str
    candidates: int = 0
    repairs: tuple[str, ...] = ()


Records = dict[tuple[str, str], dict[int, Record]]
"""(source, task) -> row -> record; of an entity as many as it was asked questions."""


def read_records(run: Path, sources: list[str]) -> Records:
    """The records of every `augment/<source>/<task>/records.parquet`; sources in order."""
    found: Records = {}
    for source in sources:
        for path in named_records(run, source):
            found[source, path.parent.name] = dict(enumerate(_read(path)))
    return found


def read_cards(run: RunFolder, sources: list[str]) -> dict[tuple[str, str], TaskCard]:
    """(source, task) -> what the task is."""
    tasks = [(source, TaskFolder(path.parent)) for source in sources for path in named_records(run.root, source)]
    return {(source, task.name): read_card(task.card) for source, task in tasks}


def _read(path: Path) -> list[Record]:
    table = read_parquet(path, remedy=AUGMENT_AGAIN)
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise DataError(f"the column {missing[0]!r} is missing", where=path, remedy=AUGMENT_AGAIN)
    nothing = pa.nulls(len(table))
    shown, repairs = (
        table[name] if name in table.column_names else nothing for name in ("shown_candidates", "repairs")
    )
    columns = [table[name].to_pylist() for name in COLUMNS]  # by column: a dict for every row takes twice as long
    columns += [_lengths(shown), _lists(repairs)]
    return [
        Record(entity, _parse(fields, path, n) if status == "ok" else None, reason, text or "", candidates, mended)
        for n, (entity, status, reason, fields, text, candidates, mended) in enumerate(zip(*columns, strict=True))
    ]


def _lengths(lists: Any) -> list[int]:
    """How long the lists of a column are; 0 for none."""
    if pa.types.is_null(lists.type):
        return [0] * len(lists)
    found: list[int] = pc.list_value_length(lists).fill_null(0).to_pylist()
    return found


def _lists(lists: Any) -> list[tuple[str, ...]]:
    """A column of lists, most of them empty."""
    lengths, none = _lengths(lists), ()
    return [tuple(lists[n].as_py()) if length else none for n, length in enumerate(lengths)]


def _parse(fields: str | None, path: Path, row: int) -> dict[str, Any]:
    text = (fields or "").strip(" \t\r\n")
    try:
        parsed, end = DECODER.raw_decode(text)
        parsed = parsed if end == len(text) else None
    except (json.JSONDecodeError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise DataError(
            "the fields of a record are not a JSON object", where=f"{path}, row {row}", remedy=AUGMENT_AGAIN
        )
    return parsed


@dataclass(frozen=True)
class Field:
    """How often values occur in one field: source -> (records, distinct values, [(value, share of records)])."""

    task: str
    name: str
    sources: dict[str, tuple[int, int, list[tuple[str, float]]]]


def count_values(records: Records, top: int = 6) -> list[Field]:
    """The commonest values of each text or list-of-text field, per source; identifiers are left out."""
    counters: dict[tuple[str, str], dict[str, Counter[str]]] = {}
    answered: Counter[tuple[str, str]] = Counter()
    for (source, task), entities in records.items():
        for record in entities.values():
            if record.fields is None:
                continue
            answered[source, task] += 1
            for name, value in record.fields.items():
                if values := _texts(value):
                    counters.setdefault((task, name), {}).setdefault(source, Counter()).update(set(values))
    return [
        Field(
            task,
            name,
            {
                source: (answered[source, task], len(counter), _top(counter, top, answered[source, task]))
                for source, counter in per_source.items()
            },
        )
        for (task, name), per_source in sorted(counters.items())
    ]


def genre_shares(
    records: Records, interactions: pa.Table, items: pa.Table, vocabulary: list[str]
) -> tuple[list[str], dict[str, list[float]]]:
    """Shares of genres in training histories and in generated profiles, each summing to one.

    Histories are those of the users with a profile from any source, so that like is compared with like.

    Returns:
        (genres, commonest in the histories first; {"histories": shares, <source>: shares}); ([], {}) without profiles
        or without genres in the data.
    """
    profiles: dict[str, list[Record]] = {}
    for (source, _), rows in records.items():
        if found := [record for record in rows.values() if record.fields and GENRES_LIKED in record.fields]:
            profiles.setdefault(source, []).extend(found)
    if not profiles or "genres" not in items.column_names:
        return [], {}
    users = {record.entity for found in profiles.values() for record in found}
    counts = {"histories": _history_genres(users, interactions, items)}
    for source, found in profiles.items():
        counts[source] = Counter(genre for record in found for genre in _texts((record.fields or {})[GENRES_LIKED]))
    known = vocabulary or sorted({genre for counter in counts.values() for genre in counter})
    genres = sorted(known, key=lambda genre: (-counts["histories"][genre], genre))
    folded = {source: [counter[genre] for genre in genres] for source, counter in counts.items()}
    outside = {
        source: counter.total() - sum(folded[source]) for source, counter in counts.items() if source != "histories"
    }
    if any(outside.values()):
        genres = [*genres, OUTSIDE]
        folded = {source: [*values, outside.get(source, 0)] for source, values in folded.items()}
    return genres, {source: [v / max(1, sum(values)) for v in values] for source, values in folded.items()}


def _history_genres(users: set[int], interactions: pa.Table, items: pa.Table) -> Counter[str]:
    train = interactions.filter(pc.equal(interactions["split"], "train"))
    chosen = np.isin(train["user"].to_numpy(), np.fromiter(users, dtype=np.int64))
    genres = dict(zip(items["item"].to_pylist(), items["genres"].to_pylist(), strict=True))
    counter: Counter[str] = Counter()
    for item, times in Counter(train["item"].to_numpy()[chosen].tolist()).items():
        for genre in genres.get(item) or ():
            counter[genre] += times
    return counter


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]


def _top(counter: Counter[str], top: int, answered: int) -> list[tuple[str, float]]:
    ordered = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(value, times / answered) for value, times in ordered[:top]]
