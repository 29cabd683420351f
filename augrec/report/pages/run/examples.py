"""A few users and items with everything written about them, drawn by seed and not by taste."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from augrec.artefacts.interactions import UserItems
from augrec.artefacts.records import StoredRecord
from augrec.artefacts.side_tables import titles_of
from augrec.report.pages.run.generated import Records
from augrec.report.user_names import UserNames

HISTORY_SHOWN = 12
TEXT_SHOWN = 600
SCORES = "scores"
SCORES_SHOWN = 5
EDGE_LABELS = {"positive": "likely", "negative": "unlikely"}
NOT_SHOWN = {"user", "item", "source_id", "title", "year"}


@dataclass(frozen=True)
class Answer:
    """One source's answer: (label, values) lines, or the reason of its failure and the start of the raw text."""

    source: str
    lines: tuple[tuple[str, tuple[str, ...]], ...]
    failed: str | None = None
    text: str = ""


@dataclass(frozen=True)
class Example:
    """One user or item: what the data says (`own`, and a user's `history`), and each source's answers."""

    name: str
    own: tuple[tuple[str, tuple[str, ...]], ...]
    history: tuple[str, ...]
    history_length: int
    answers: tuple[Answer, ...]


def user_examples(
    records: Records,
    histories: UserItems,
    items: pa.Table,
    users: pa.Table,
    n: int,
    rng: np.random.Generator,
    names: UserNames,
) -> list[Example]:
    """`n` users drawn from those that some source wrote about; `records` are those about users, `histories` what they
    have in training, oldest first, and `names` what they are called."""
    titles = titles_of(items)
    written = _by_entity(records)
    examples = []
    for user in _draw(written, n, rng):
        history = histories.of(user).tolist()
        answers = [_answer(source, found.get(user, []), titles, names.reason) for source, found in written.items()]
        examples.append(
            Example(
                name=f"User {names.of(user)}",
                own=names.own(_own(users, user)),
                history=names.shown([titles[item] for item in history[-HISTORY_SHOWN:]]),
                history_length=len(history),
                answers=tuple(answer for answer in answers if answer),
            )
        )
    return examples


def item_examples(records: Records, items: pa.Table, n: int, rng: np.random.Generator) -> list[Example]:
    """`n` items drawn from those that some source wrote about; `records` are those about items."""
    titles = titles_of(items)
    written = _by_entity(records)
    examples = []
    for item in _draw(written, n, rng):
        answers = [_answer(source, found.get(item, []), titles) for source, found in written.items()]
        examples.append(Example(titles[item], _own(items, item), (), 0, tuple(a for a in answers if a)))
    return examples


def _by_entity(records: Records) -> dict[str, dict[int, list[StoredRecord]]]:
    """source -> entity -> its records, task by task."""
    found: dict[str, dict[int, list[StoredRecord]]] = {}
    for (source, _), rows in records.items():
        of_source = found.setdefault(source, {})
        for record in rows.values():
            of_source.setdefault(record.entity, []).append(record)
    return found


def _draw(written: dict[str, dict[int, list[StoredRecord]]], n: int, rng: np.random.Generator) -> list[int]:
    entities = sorted({entity for found in written.values() for entity in found})
    return sorted(rng.choice(entities, min(n, len(entities)), replace=False).tolist()) if entities else []


def _answer(
    source: str, records: list[StoredRecord], titles: list[str], told: Callable[[str], str] = str
) -> Answer | None:
    if not records:
        return None
    lines: list[tuple[str, tuple[str, ...]]] = []
    failed = None
    text = ""
    for record in records:
        if record.fields is None:
            failed, text = told(record.reason or "no reason given"), record.text[:TEXT_SHOWN]
            continue
        for name, value in record.fields.items():
            if name in EDGE_LABELS and isinstance(value, int):
                known = 0 <= value < len(titles)
                lines.append((EDGE_LABELS[name], (titles[value] if known else f"item {value}, not in the data",)))
            elif name == SCORES and isinstance(value, list):
                lines.append(("probabilities", _scores(value, titles)))
            else:
                lines.append((name.replace("_", " "), values_of(value)))
    return Answer(source, tuple(lines), failed, text)


def _scores(scores: list[Any], titles: list[str]) -> tuple[str, ...]:
    """The likeliest candidates with their probabilities."""
    pairs = [pair for pair in scores if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], int)]
    known = [(item, value) for item, value in pairs if 0 <= item < len(titles) and isinstance(value, int | float)]
    return tuple(f"{titles[item]} {value:.0%}" for item, value in known[:SCORES_SHOWN])


def _own(table: pa.Table, row: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
    names = [name for name in table.column_names if name not in NOT_SHOWN]
    found = [(name.replace("_", " "), values_of(table[name][row].as_py())) for name in names]
    return tuple((name, values) for name, values in found if values)


def values_of(value: Any) -> tuple[str, ...]:
    """Any field as texts to show, cut at `TEXT_SHOWN` characters; nothing for null."""
    values = value if isinstance(value, list) else [value]
    texts = (str(v) for v in values if v is not None and str(v).strip())
    return tuple(text if len(text) <= TEXT_SHOWN else text[:TEXT_SHOWN] + "…" for text in texts)
