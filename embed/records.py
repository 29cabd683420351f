"""Files to texts: one list per field, one entry per contiguous id, None where there is nothing to embed.

The embedding stage and the audit read through the same two functions, so that a text hash proves which records a
matrix was made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest
from augrec.artefacts.names import check_fields
from augrec.artefacts.records import read_records
from augrec.artefacts.side_tables import read_side_table
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.tasks import About, Text, read_card
from embed.texts import PROSE, answer_text, item_text, own_text, profile_text

# Side columns of a data set that describe an item. Others (links, image names, prices) are left alone.
OWN_COLUMNS = ("title", "year", "genres", "categories", "authors", "brand", "description")


def text_digest(texts: Sequence[str | None]) -> str:
    """The sha256 over a list of texts, as recorded in a matrix's `text_sha256`."""
    return digest(list(texts))


@dataclass(frozen=True)
class FieldTexts:
    """What one matrix of a source is made from: a text for each user or item, None where there is nothing to embed."""

    task: str
    about: About
    texts: list[str | None]


def texts_of_source(records_folder: Path, n_users: int, n_items: int, tasks: Iterable[str]) -> dict[str, FieldTexts]:
    """The texts of one source's answers, by what the cards of its tasks say that they are.

    A task that gives a text has one field, called like the task; one that gives attributes has a field for each, in
    name order, unless they are those of a user and an item alike; other tasks give nothing to embed. The texts of
    several questions about an entity are put together.

    Args:
        records_folder: R/augment/<source>; tasks that it did not run are absent from the result.
        n_users, n_items: how many there are of each.
        tasks: those that are read; records of others may lie there from an earlier config.

    Returns:
        field -> its texts, task by task. Failed records, absent records and values like "unknown" are None.

    Raises:
        DataError: a record names an entity out of range or answers a question twice, its fields are not a JSON object,
            or two fields have one name.
    """
    found: dict[str, FieldTexts] = {}
    there = [task for name in tasks if (task := SourceFolder(records_folder).task(name)).records.exists()]
    cards = {task.name: read_card(task.card) for task in there}
    taken = [name for name, card in cards.items() if isinstance(card.gives, Text)]
    for task in there:
        card = cards[task.name]
        if not card.gives.embedded:
            continue
        answers = _answers(task.records, n_users if card.about == "user" else n_items)
        if isinstance(card.gives, Text):
            texts = {task.name: [_text(fields, card.gives.field) for fields in answers]}
        else:
            names = sorted({name for several in answers for fields in several for name in fields})
            remedy = "give it a plain name, or run the stage `augment` again"
            check_fields(names, task.records, "attribute", remedy=remedy, taken=[*taken, *found])
            texts = {name: [_value(several, name) for several in answers] for name in names}
        found |= {field: FieldTexts(task.name, card.about, rows) for field, rows in texts.items()}
    return found


def texts_of_items(items_parquet: Path, columns: Sequence[str] | None = None) -> dict[str, list[str | None]]:
    """The texts of the data set's own side information.

    Args:
        items_parquet: R/dataset/items.parquet.
        columns: those that make it; None takes what there is of `OWN_COLUMNS`.

    Returns:
        `text` (all columns in one text) and one list per column that the file has and that is no prose, which is a text
        and no attribute; empty when it has none of them.

    Raises:
        DataError: the file is missing or damaged, its ids are not 0, 1, 2, ... in order, or a column that is named is
            not there.
    """
    table = read_side_table(items_parquet, "item")
    present = [name for name in columns or OWN_COLUMNS if name in table.column_names]
    lacking = [name for name in columns or () if name not in present]
    if lacking:
        raise DataError(
            f"items have no column '{lacking[0]}'",
            where=items_parquet,
            remedy=f"embedding.columns: name some of {', '.join(table.column_names[2:]) or 'none, as there are none'}",
        )
    if not present:
        return {}
    rows = table.select(present).to_pylist()
    texts = {"text": [item_text(row) for row in rows]}
    return texts | {name: [own_text(row[name]) for row in rows] for name in present if name not in PROSE}


def _answers(path: Path, n: int) -> list[list[dict[str, Any]]]:
    """The answers about each of n entities, in the order of the questions."""
    found: list[list[dict[str, Any]]] = [[] for _ in range(n)]
    for record in read_records(path, entities=n, columns=()).answered():
        found[record.entity].append(record.fields or {})
    return found


def _text(answers: Sequence[Mapping[str, Any]], field: str | None) -> str | None:
    texts = (profile_text(fields) if field is None else answer_text(fields.get(field)) for fields in answers)
    return " ".join(text for text in texts if text) or None


def _value(answers: Sequence[Mapping[str, Any]], name: str) -> str | None:
    values = [fields[name] for fields in answers if name in fields]
    return answer_text(values[0] if len(values) == 1 else values)
