"""A few users with what every arm says of them, drawn by seed and not by taste."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from augrec.artefacts.interactions import UserItems
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.side_tables import read_side_table, titles_of
from augrec.report.measures.source_records import SourceRecords
from augrec.report.user_names import UserNames

HISTORY = 8
HISTORY_CHARACTERS = 160
TEXT_CHARACTERS = 1500


ProfileText = Callable[[Mapping[str, Any]], str | None]
"""The text of a profile's fields; None where they say nothing."""


@dataclass(frozen=True)
class ExampleText:
    """What one arm says of a user, or why there is nothing."""

    arm: str
    text: str | None
    failed: str | None


@dataclass(frozen=True)
class UserExample:
    """One user by source id or pseudonym: the latest training items, oldest first, and what every arm says."""

    user: str
    history: tuple[str, ...]
    texts: tuple[ExampleText, ...]


def examples_of(
    run: RunFolder,
    number: int,
    arms: Mapping[str, SourceRecords],
    users: np.ndarray,
    histories: UserItems,
    profile_text: ProfileText,
    hide_users: bool = False,
) -> tuple[UserExample, ...]:
    """A few users side by side.

    Args:
        run: the run folder.
        number: how many.
        arms: arm -> the profiles that it uses as they are.
        users: ids of those to draw from.
        histories: training items of every user, oldest first.
        profile_text: what a profile's fields say as one text.
        hide_users: whether users go by pseudonyms and without their histories.
    """
    rng = np.random.default_rng([0, 0xE8])
    drawn = np.sort(rng.choice(users, min(number, len(users)), replace=False))
    items, people = read_side_table(run.items, "item"), read_side_table(run.users, "user")
    names, called = item_names(items), UserNames(people, histories, hide_users)
    return tuple(
        UserExample(
            user=called.of(user),
            history=called.shown([names[item] for item in histories.of(user)[-HISTORY:].tolist()]),
            texts=tuple(_text(arm, records, user, profile_text, called) for arm, records in arms.items()),
        )
        for user in drawn.tolist()
    )


def item_names(items: pa.Table) -> list[str]:
    """What to call every item: its title, else the beginning of its text."""
    if "title" in items.column_names:
        return titles_of(items)
    texts = [name for name in ("profile", "description", "text") if name in items.column_names]
    if not texts:
        return titles_of(items)
    return [
        _cut(str(text or name), HISTORY_CHARACTERS)
        for text, name in zip(items[texts[0]].to_pylist(), titles_of(items), strict=True)
    ]


def _text(arm: str, records: SourceRecords, user: int, profile_text: ProfileText, called: UserNames) -> ExampleText:
    """All that an arm says of a user, as it is embedded: the answers to several questions are put together."""
    rows, answers = records.rows_of.get(user, []), records.answers_about(user)
    if not rows:
        return ExampleText(arm, None, "not asked about this user")
    if not answers:
        return ExampleText(arm, None, called.reason(records.reasons[rows[0]] or "failed"))
    text = " ".join(filter(None, map(profile_text, answers)))
    return ExampleText(arm, _cut(text, TEXT_CHARACTERS), None) if text else ExampleText(arm, None, "says nothing")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
