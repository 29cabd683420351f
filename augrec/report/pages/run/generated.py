"""What the sources wrote: their records, how often each value occurs, and the data's own genres beside them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from augrec.artefacts import records as stored
from augrec.artefacts.interactions import UserItems
from augrec.artefacts.named import named_records
from augrec.artefacts.records import StoredRecord
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.source_folder import TaskFolder
from augrec.artefacts.tasks import TaskCard, read_card

GENRES_LIKED = "liked_genres"
OUTSIDE = "(not in the data)"
SHOWN = ("reason", "text", "repairs")
SHOWN_VALUES = 6
"""Of the commonest values of a field, so many are listed."""


Records = dict[tuple[str, str], dict[int, StoredRecord]]
"""(source, task) -> row -> record; of an entity as many as it was asked questions."""


def read_records(run: Path, sources: list[str]) -> Records:
    """The records of every `augment/<source>/<task>/records.parquet`; sources in order."""
    found: Records = {}
    for source in sources:
        for path in named_records(run, source):
            found[source, path.parent.name] = dict(enumerate(stored.read_records(path, columns=SHOWN)))
    return found


def read_cards(run: RunFolder, sources: list[str]) -> dict[tuple[str, str], TaskCard]:
    """(source, task) -> what the task is."""
    tasks = [(source, TaskFolder(path.parent)) for source in sources for path in named_records(run.root, source)]
    return {(source, task.name): read_card(task.card) for source, task in tasks}


@dataclass(frozen=True)
class Field:
    """How often values occur in one field: source -> (records, distinct values, [(value, share of records)])."""

    task: str
    name: str
    sources: dict[str, tuple[int, int, list[tuple[str, float]]]]


def count_values(records: Records) -> list[Field]:
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
                source: (answered[source, task], len(counter), _commonest(counter, answered[source, task]))
                for source, counter in per_source.items()
            },
        )
        for (task, name), per_source in sorted(counters.items())
    ]


def genre_shares(
    records: Records, histories: UserItems, items: pa.Table, vocabulary: list[str]
) -> tuple[list[str], dict[str, list[float]]]:
    """Shares of genres in training histories and in generated profiles, each summing to one.

    Histories are those of the users with a profile from any source, so that like is compared with like.

    Returns:
        (genres, commonest in the histories first; {"histories": shares, <source>: shares}); ([], {}) without profiles
        or without genres in the data.
    """
    profiles: dict[str, list[StoredRecord]] = {}
    for (source, _), rows in records.items():
        if found := [record for record in rows.values() if record.fields and GENRES_LIKED in record.fields]:
            profiles.setdefault(source, []).extend(found)
    if not profiles or "genres" not in items.column_names:
        return [], {}
    users = {record.entity for found in profiles.values() for record in found}
    counts = {"histories": _history_genres(users, histories, items)}
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


def _history_genres(users: set[int], histories: UserItems, items: pa.Table) -> Counter[str]:
    chosen = np.isin(histories.users, np.fromiter(users, dtype=np.int64))
    genres = dict(zip(items["item"].to_pylist(), items["genres"].to_pylist(), strict=True))
    counter: Counter[str] = Counter()
    for item, times in Counter(histories.items[chosen].tolist()).items():
        for genre in genres.get(item) or ():
            counter[genre] += times
    return counter


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]


def _commonest(counter: Counter[str], answered: int) -> list[tuple[str, float]]:
    ordered = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(value, times / answered) for value, times in ordered[:SHOWN_VALUES]]
