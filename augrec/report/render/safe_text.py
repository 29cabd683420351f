"""Text that an LLM or a file gave, as a page or Markdown shows it. What acts unseen is made visible first, see
`augrec.artefacts.visible`; escaping of HTML is the template's part.
"""

from __future__ import annotations

import math
import re
from typing import Any

from augrec.artefacts.visible import visible
from augrec.report.render.wording import DASH

TEXT_SHOWN = 1500

_LIST_OR_RULE = re.compile(r"^([-+](?=[\s-]|$)|=|\d+[.)](?=\s|$))")


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


def plain(text: str) -> str:
    """Text on one line that Markdown shows as it stands: no markup, HTML, table border, link or mention in it."""
    text = re.sub(r"([\\`*_\[\]<>#|~!$])", r"\\\1", one_line(text).replace("&", "&amp;"))
    text = _LIST_OR_RULE.sub(lambda found: found[0][:-1] + "\\" + found[0][-1], text)
    text = re.sub(r"(?i)(https?|ftp|mailto|xmpp)(:)", r"\1&#58;", text)
    return re.sub(r"(?i)\b(www)\.", r"\1&#46;", text).replace("@", "&#64;")


def code(text: str, *, in_table: bool = False) -> str:
    """Text on one line as a code span, which nothing in it can end."""
    text = one_line(text)
    if not text:
        return DASH
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    span = f"{fence}{pad}{text}{pad}{fence}"
    return span.replace("|", "\\|") if in_table else span


def markdown_cell(text: object) -> str:
    """`plain` for names and notes in a table: underscores between letters and the @ of a metric stay as they are."""
    shown = plain(visible(str(text)))
    return re.sub(r"(?<=\w)&#64;(?=\d+$)", "@", re.sub(r"(?<=\w)\\_(?=\w)", "_", shown))
