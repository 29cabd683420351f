"""How an item is written into a prompt: by its title or an arbitrary name, and with the beginning of its text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from augrec.artefacts.options import Options

Titles = Literal["as-is", "anonymous"]

FEWEST_DIGITS = 6
"""Of the largest number in an arbitrary name; more for data with 10,000 items and above."""
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
        titles: "anonymous" shows a name like "movie 483920" in place of the title, and inside the item's text too.
        seed: the run's seed; fixes the numbers in these names.
    """

    text: ItemTextOptions | None = None
    titles: Titles = "as-is"
    seed: int = 0


def numbers(seed: int, source_ids: Sequence[str]) -> list[int]:
    """An arbitrary number for every item, each once; the same on every machine.

    An item's number depends on its own source id, and on others only where two draw the same: with a hundred times as
    many numbers as items, one item more leaves nearly all of them as they were.
    """
    most = 10 ** max(FEWEST_DIGITS, len(str(len(source_ids))) + 2)
    first = sorted(range(len(source_ids)), key=lambda item: _drawn(seed, source_ids[item], 0))
    taken: dict[int, int] = {}
    for item in first:
        attempt = 0
        while (number := 1 + _drawn(seed, source_ids[item], attempt) % most) in taken:
            attempt += 1
        taken[number] = item
    numbered = {item: number for number, item in taken.items()}
    return [numbered[item] for item in range(len(source_ids))]


def _drawn(seed: int, source_id: str, attempt: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/name/{attempt}/{source_id}".encode()).digest()[:8], "big")


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
