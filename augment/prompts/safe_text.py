"""Makes text from a data set safe to put into a prompt.

Titles are written by anybody. One with a line break could add a line to the list it stands in, and one with a chat
marker such as `<|im_end|>` or `[/INST]` could end the user's turn, because tokenizers read markers inside text too.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any

LONGEST = 120
LONGEST_TEXT = 20_000
"""Characters read of a text column."""
_MARKERS = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")", "{": "(", "}": ")", "▁": " "})


def plain(text: str, longest: int = LONGEST) -> str:
    """One line of printable text without brackets that chat templates use, cut to `longest` characters."""
    if not text.isprintable():  # one letter or more is a control, a separator other than the space, or unassigned
        text = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text)
    line = " ".join(text.translate(_MARKERS).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def as_json(value: Any) -> str:
    """A value as JSON on one line, letters of every language as they are; the filter `json` of templates."""
    return json.dumps(value, ensure_ascii=False)
