"""What the items of a data set are called: a config says it, `dataset.json` keeps it, and prompts speak accordingly."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from augrec.artefacts.options import Options

DomainName = Literal["movies", "books", "games", "music", "businesses", "clothes", "news", "recipes", "jobs"]
"""Domains whose words are known, see `augment.prompts.domains`."""
WORDS = r"[^\W\d_][\w' -]{0,39}"
"""A word or two: letters first, and nothing that could be taken for another line of a prompt."""
ALIKE = 0.8
"""Names as near as this to a known one are taken for a slip."""


class DomainWords(Options):
    """The words of prompts for items that are none of the known kinds."""

    one: str = Field(pattern=f"^{WORDS}$")
    """An item, e.g. `wine`."""
    many: str = Field(pattern=f"^{WORDS}$")
    """Several, e.g. `wines`."""
    liked: str = Field(default="liked", pattern=f"^{WORDS}$")
    """What a user did to them, past tense, e.g. `liked to drink`."""
    creator: str = Field(default="maker", pattern=r"^[a-z]{1,20}$")
    """The person or company that an item is known by, e.g. `winery`; also a field of answers."""


def _checked(value: Any) -> Any:
    """Refuses what is no name, and one that is nearly a known one."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(WORDS, value):
        raise ValueError(f"{value!r} is no name of items; write a word or two of letters, e.g. wines")
    known = get_args(DomainName)
    near = difflib.get_close_matches(value.casefold(), known, n=1, cutoff=ALIKE)
    if value not in known and near:
        raise ValueError(
            f"did you mean '{near[0]}'? If items are really called {value!r}, write {{one: ..., many: {value}}}"
        )
    return value


Domain = Annotated[str | DomainWords, BeforeValidator(_checked)]
"""A known name, any other word for many items, or words of one's own."""


def domain_in_words(stored: Any) -> str | None:
    """How `dataset.json` calls the items: its name, or the word for many of them; None where it says nothing."""
    return stored.get("many") if isinstance(stored, Mapping) else stored
