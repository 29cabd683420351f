"""How an item is written into a prompt: by its title or an arbitrary name, and with the beginning of its text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from artefacts.options import Options

Titles = Literal["as-is", "anonymous"]

LETTERS_PER_WORD = 20
"""A text of n words is cut to this many characters per word as well: some "words" are addresses."""
_BRACKETED = re.compile(r"\s*\([^()]*\)$")
_ARTICLE_LAST = re.compile(r"^(?P<rest>.+), (?P<article>\w{1,3}'?)$")


class ItemTextOptions(Options):
    """Text of the data set that tells what an item is."""

    columns: tuple[str, ...] = Field(min_length=1)
    """Text columns of the items, e.g. [description]; shown one after the other."""
    words: int = Field(default=60, ge=1, le=1000)
    """Words shown of each item."""


@dataclass(frozen=True)
class Presentation:
    """What prompts say of an item.

    Args:
        text: the text columns to show; None for none.
        titles: "anonymous" shows a name like "movie 17" in place of the title, and inside the item's text too.
        seed: the run's seed; fixes the numbers in these names.
    """

    text: ItemTextOptions | None = None
    titles: Titles = "as-is"
    seed: int = 0


def numbers(seed: int, n_items: int) -> list[int]:
    """An arbitrary number 1..n_items for every item, each once; the same on every machine."""
    drawn = sorted(range(n_items), key=lambda item: hashlib.sha256(f"{seed}/name/{item}".encode()).digest())
    ranks = [0] * n_items
    for rank, item in enumerate(drawn, start=1):
        ranks[item] = rank
    return ranks


def beginning(texts: Iterable[str], words: int) -> str:
    """The first words of texts, with "…" where something was cut."""
    whole = " ".join(text for text in texts if text)
    first = " ".join(whole.split(" ")[:words])[: words * LETTERS_PER_WORD].rstrip()
    return first if first == whole else f"{first}…"


def without_title(text: str, title: str, name: str) -> str:
    """The text with every occurrence of the title replaced by the name.

    The title is also looked for without what stands in brackets at its end, with a trailing article in front
    ("Matrix, The"), and without its subtitle. Case counts for titles of one word only: "It" is not "it".
    """
    parts = [
        f"(?i:{re.escape(form)})" if " " in form else re.escape(form)
        for form in sorted(_forms(title), key=lambda form: (-len(form), form))
    ]
    return re.sub(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)", lambda _: name, text) if parts else text


def _forms(title: str) -> set[str]:
    bare = title
    while (shorter := _BRACKETED.sub("", bare)) != bare and shorter:
        bare = shorter
    forms = {title, bare, _article_first(bare)}
    main, colon, _ = bare.partition(":")
    if colon and " " in main.strip():
        forms |= {main.strip(), _article_first(main.strip())}
    return forms - {""}


def _article_first(title: str) -> str:
    found = _ARTICLE_LAST.match(title)
    return f"{found['article']} {found['rest']}" if found else title
