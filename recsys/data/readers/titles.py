"""MovieLens' way of writing titles, undone."""

from __future__ import annotations

import re

ARTICLES = "The|A|An|La|Le|Les|Il|Lo|Gli|El|Los|Las|Der|Die|Das|Ein|Eine|Un|Une|Uno|Una|Den|Det|De|O|Os"
_MOVED_ARTICLE = re.compile(rf"(?P<name>[^()]*[^()\s]),\s+(?:(?P<article>{ARTICLES})|(?P<elided>L'))(?=\s*(?:[()]|$))")
_YEAR = re.compile(r"\s*\((?P<year>\d{4})(?:[-–]\d{0,4})?\)\s*(?:\([A-Z]+\))?\s*$")
UNKNOWN = {"unknown", "unkonwn"}  # RecBole misspells the one unknown film of ML-100K


def title_and_year(text: str) -> tuple[str, int | None]:
    """ "Matrix, The (1999)" -> ("The Matrix", 1999); the year is None when the title carries none."""
    found = _YEAR.search(text)
    name = text[: found.start()] if found else text
    return article_first(name.strip()), int(found["year"]) if found else None


def article_first(title: str) -> str:
    """ "Hard Target, The (Cible, La)" -> "The Hard Target (La Cible)"."""
    return _MOVED_ARTICLE.sub(_turned, "unknown" if title.lower() in UNKNOWN else title)


def _turned(found: re.Match[str]) -> str:
    name = found["name"]
    return f"{found['elided']}{name}" if found["elided"] else f"{found['article']} {name}"
