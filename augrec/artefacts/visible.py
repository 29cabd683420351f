"""Text of others made safe to look at, on a terminal, in a log or on a page: what acts unseen is shown.

Control characters command a terminal (clear it, rename its window, type for the user), direction overrides and
zero-width letters make a text read as another, halves of surrogate pairs cannot be written, and piles of combining
marks cover their neighbours.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

JOINERS = "\u200c\u200d"
MARKS_IN_A_ROW = 4

_FILLERS = {"\u115f", "\u1160", "\u2800", "\u3164", "\uffa0"}
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_MARKS = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
_PILE = re.compile(f"{_MARKS}{{{MARKS_IN_A_ROW + 1},}}")


def visible(text: str) -> str:
    """The text with every letter that acts unseen written as its code point, for example ⟨U+202E⟩.

    Line ends become one kind. Joiners stay where they join letters other than Latin ones (emoji, Persian, Hindi).
    """
    if text.isascii() and text.isprintable():
        return text
    text = _PILE.sub(lambda found: found[0][:MARKS_IN_A_ROW] + "…", text.replace("\r\n", "\n"))
    around = f" {text} "
    return "".join(
        f"⟨U+{ord(letter):04X}⟩" if _hidden(letter, around[n], around[n + 2]) else letter
        for n, letter in enumerate(text)
    )


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair, which JSON may escape and no UTF-8 file can hold."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def one_line(text: str, longest: int) -> str:
    """A message of somebody else as one short line that can be printed anywhere: what acts unseen becomes a blank.

    Args:
        text: the message.
        longest: letters that are kept.
    """
    text = without_surrogates(text[: 4 * longest])
    around = f" {text} "
    letters = (
        " " if not letter.isprintable() or _hidden(letter, around[n], around[n + 2]) else letter
        for n, letter in enumerate(text)
    )
    return " ".join("".join(letters).split())[:longest]


def shown(value: Any) -> Any:
    """What a page's template prints: text made visible, anything else (markup, numbers) as it is."""
    return visible(value) if type(value) is str else value


def _hidden(letter: str, before: str, after: str) -> bool:
    if letter in "\n\t":
        return False
    if letter in JOINERS:
        return before < "\u0300" or after < "\u0300" or after in JOINERS
    unusable = ord(letter) & 0xFFFE == 0xFFFE
    return unusable or letter in _FILLERS or unicodedata.category(letter) in _HIDDEN
