"""Text that an LLM or a file gave, made safe to look at: what cannot be seen is shown, so that it cannot mislead.

Escaping of HTML is the template's part, escaping of Markdown that of `pipeline.compare.markdown`. Here are the letters
that act without being seen: control characters, direction overrides, zero-width letters, line separators, halves of
surrogate pairs, and piles of combining marks.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

JOINERS = "\u200c\u200d"
MARKS_IN_A_ROW = 4
TEXT_SHOWN = 1500

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


def _hidden(letter: str, before: str, after: str) -> bool:
    if letter in "\n\t":
        return False
    if letter in JOINERS:
        return before < "\u0300" or after < "\u0300" or after in JOINERS
    unusable = ord(letter) & 0xFFFE == 0xFFFE
    return unusable or letter in _FILLERS or unicodedata.category(letter) in _HIDDEN


def cleaned(value: Any) -> Any:
    """A JSON value with every string visible (keys too) and numbers that are not finite as None."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(str(key)): cleaned(found) for key, found in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(found) for found in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def beginning(text: str, length: int = TEXT_SHOWN) -> tuple[str, int]:
    """The beginning of a text, and how many characters were left out."""
    return (text, 0) if len(text) <= length else (text[:length].rstrip() + "…", len(text) - length)


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())
