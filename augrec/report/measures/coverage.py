"""How much of the catalogue a language model completes by heart: titles, years and genres, asked for by number alone.

A share of exact titles well above zero says that the data set was among what the model was trained on. Years and genres
can be guessed, and stand beside what the same answers give at other items.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augrec.report.measures.source_records import SourceRecords

ARTICLE = re.compile(r"^(?P<rest>.+), (?P<article>\w{1,3}'?)$")


@dataclass(frozen=True)
class Coverage:
    """What one source completed.

    Attributes:
        source: its name.
        items: that were answered.
        titles: share whose title is right, whatever its case, punctuation and the place of its article.
        years, genres: share whose year is right, and mean overlap (Jaccard) of genres; None where the data have none.
        chance_titles, chance_years, chance_genres: the same for answers at other items.
    """

    source: str
    items: int
    titles: float
    years: float | None
    genres: float | None
    chance_titles: float
    chance_years: float | None
    chance_genres: float | None


def coverage(records: SourceRecords, catalogue: Mapping[str, Sequence[Any]], *, seed: int = 0) -> Coverage | None:
    """What a source completed of a catalogue; None where it answered nothing.

    Args:
        records: of the task `catalogue_entry`.
        catalogue: title, and where the data have them year and genres, row = item.
        seed: of the move to other items.
    """
    answered = [int(item) for item in records.answered()]
    said = {item: records.answers_about(item)[0] for item in answered}
    if not said:
        return None
    order = np.random.default_rng([seed, 0xC0FE]).permutation(len(answered))
    moved = dict(zip(answered, (said[answered[place]] for place in order), strict=True))
    own, other = (_judged(answers, catalogue) for answers in (said, moved))
    return Coverage(
        records.source, len(said), own["title"] or 0.0, own["year"], own["genres"],
        other["title"] or 0.0, other["year"], other["genres"],
    )  # fmt: skip


def _judged(
    answers: Mapping[int, Mapping[str, Any]], catalogue: Mapping[str, Sequence[Any]]
) -> dict[str, float | None]:
    judges = {"title": _same_title, "year": _same_year, "genres": _overlap}
    found: dict[str, float | None] = {}
    for name, judge in judges.items():
        column = catalogue.get(name)
        known = [] if column is None else [item for item in answers if column[item] and name in answers[item]]
        found[name] = float(np.mean([judge(answers[i][name], column[i]) for i in known])) if column and known else None
    return found


def plain_title(title: str) -> str:
    """A title without case, punctuation, a year behind it, and with its article in front."""
    title = re.sub(r"\s*\(\d{4}\)$", "", title.strip())
    if found := ARTICLE.match(title):
        title = f"{found['article']} {found['rest']}"
    return " ".join(re.findall(r"\w+", title.casefold()))


def _same_title(said: Any, known: Any) -> float:
    return float(plain_title(str(said)) == plain_title(str(known)))


def _same_year(said: Any, known: Any) -> float:
    return float(str(said) == str(known))


def _overlap(said: Any, known: Any) -> float:
    one, other = set(said), set(known)
    return len(one & other) / len(one | other)
