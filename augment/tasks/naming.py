"""Names in answers: how they may be written, and which of them say nothing."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from augment.tasks.base import NamingOptions

LETTERS = "A-Za-zÀ-ÖØ-öø-ž"
UNKNOWN = "unknown"
"""Written where nothing is known; downstream it is a missing value, never text to embed."""
SAYS_NOTHING = {
    "unknown",
    "none",
    "n/a",
    "na",
    "not available",
    "not known",
    "unspecified",
    "anonymous",
    "various",
    "name",
}


def name_type(options: NamingOptions, *, digits: bool = False) -> Any:
    """A string of a few words of letters, with a bound that a grammar can hold."""
    first = LETTERS + ("0-9" if digits else "")
    word = f"[{first}][{first}.'-]{{0,{options.word_letters - 1}}}"
    return Annotated[str, StringConstraints(pattern=f"^{word}( {word}){{0,{options.name_words - 1}}}$")]


def list_of(entry: Any, least: int, most: int) -> Any:
    """A bounded list."""
    return Annotated[list[entry], Field(min_length=least, max_length=most)]


def informative(name: str, field: str) -> bool:
    """Whether a name is more than a placeholder or the echo of the field's own name."""
    plain = name.lower().replace("_", " ").strip(" .'-")
    singular = field.lower().removeprefix("liked_").removesuffix("s")
    return plain not in SAYS_NOTHING and plain.removesuffix("s") != singular


def distinct(values: list[str], field: str, repairs: list[str]) -> list[str]:
    """The values in order, each once whatever its case; repeats are noted."""
    kept: dict[str, str] = {}
    for value in values:
        kept.setdefault(value.casefold(), value)
    if len(kept) < len(values):
        repairs.append(f"{field}: {len(values) - len(kept)} repeated")
    return list(kept.values())


def known_or_missing(value: str, field: str, repairs: list[str]) -> str:
    """The value, or `UNKNOWN` when it says nothing; a change is noted."""
    if informative(value, field):
        return value
    if value != UNKNOWN:
        repairs.append(f"{field}: placeholder {value!r}")
    return UNKNOWN
