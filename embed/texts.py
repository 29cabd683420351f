"""How answers and side information become texts. Pure: the same values give the same text, on any machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from augrec.artefacts.errors import DataError

# What an LLM writes when it does not know. Embedded, they would make strangers neighbours.
NOT_AN_ANSWER = ("", "unknown", "none", "null", "n/a")
# A data set's own word for missing, in lower case only: "Unknown" is also the title of a film.
NOT_A_VALUE = ("", "unknown")
# Fields that are prose already and need no label.
PROSE = ("profile", "summary", "text")


def answer_text(value: Any) -> str | None:
    """An LLM's value as text; None when it says nothing."""
    return _plain(value, lambda text: text.lower() in NOT_AN_ANSWER)


def own_text(value: Any) -> str | None:
    """A value of the data set as text; None when it is missing."""
    return _plain(value, lambda text: text in NOT_A_VALUE)


def _plain(value: Any, says_nothing: Callable[[str], bool]) -> str | None:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(int(value) if value == int(value) else value)
    if isinstance(value, str):
        text = " ".join(value.split())
        return None if says_nothing(text) else text
    if isinstance(value, list | tuple):
        parts = (_plain(part, says_nothing) for part in value)
        return ", ".join(part for part in parts if part is not None) or None
    raise DataError(
        f"a value of type {type(value).__name__} has no text",
        where=repr(value)[:80],
        remedy="use strings, numbers, lists",
    )


def profile_text(fields: Mapping[str, Any]) -> str | None:
    """One text for a profile: its fields in their order, labelled; None when no field says anything.

    >>> profile_text({"age": "25-34", "gender": "unknown", "liked_genres": ["Drama", "War"]})
    'Age: 25-34. Liked genres: Drama, War.'
    """
    return _sentences({name: answer_text(value) for name, value in fields.items()})


def item_text(columns: Mapping[str, Any]) -> str | None:
    """One text for an item: title and year, then the other columns, labelled; None when all are missing.

    >>> item_text({"title": "Toy Story", "year": 1995, "genres": ["Animation", "Comedy"]})
    'Toy Story (1995). Genres: Animation, Comedy.'
    """
    texts = {name: own_text(value) for name, value in columns.items()}
    title, year = texts.get("title"), texts.get("year")
    if title is None:
        return _sentences(texts)
    heading = title if year is None or title.endswith(f"({year})") else f"{title} ({year})"
    return _join([heading, _sentences({name: text for name, text in texts.items() if name not in ("title", "year")})])


def _sentences(texts: Mapping[str, str | None]) -> str | None:
    return _join(
        [text if name in PROSE else f"{_label(name)}: {text}" for name, text in texts.items() if text is not None]
    )


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _join(sentences: list[str | None]) -> str | None:
    return " ".join(text if text.endswith((".", "!", "?")) else f"{text}." for text in sentences if text) or None
