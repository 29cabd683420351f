"""How much of the catalogue a language model completes by heart: titles, years and genres, asked for by number alone.

A share of exact titles well above zero says that the data set was among what the model was trained on. Years and genres
can be guessed, and better from the lines that the prompt shows, since catalogues have like items near each other. So
the same answers are judged at an item nearby whose line was not shown either, and titles that were copied are counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augrec.artefacts.tasks import Entry
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
        chance_titles, chance_years, chance_genres: the same for each answer at the next item that its prompt did not
            show.
        copied: share whose title is that of a line which the prompt showed.
    """

    source: str
    items: int
    titles: float
    years: float | None
    genres: float | None
    chance_titles: float
    chance_years: float | None
    chance_genres: float | None
    copied: float


def coverage(records: SourceRecords, catalogue: Mapping[str, Sequence[Any]], entry: Entry) -> Coverage | None:
    """What a source completed of a catalogue; None where it answered nothing.

    Args:
        records: of the task `catalogue_entry`.
        catalogue: title, and where the data have them year and genres, row = item.
        entry: what the task's prompts show.
    """
    said = {int(item): records.answers_about(int(item))[0] for item in records.answered()}
    if not said:
        return None
    titles = catalogue["title"]
    shown = {item: entry.shown(item, len(titles)) for item in said}
    own = _judged({item: (item, answer) for item, answer in said.items()}, catalogue)
    near = _judged({item: (_next(item, shown[item], len(titles)), answer) for item, answer in said.items()}, catalogue)
    copies = [any(_same_title(said[i]["title"], titles[place]) for place in shown[i] if titles[place]) for i in said]
    return Coverage(
        records.source, len(said), own["title"] or 0.0, own["year"], own["genres"],
        near["title"] or 0.0, near["year"], near["genres"], float(np.mean(copies)),
    )  # fmt: skip


def _next(item: int, shown: Sequence[int], n_items: int) -> int:
    """The item after this one, or the first one after the last, that is not shown."""
    places = ((item + step) % n_items for step in range(1, n_items))
    return next((place for place in places if place not in shown), item)


def _judged(
    answers: Mapping[int, tuple[int, Mapping[str, Any]]], catalogue: Mapping[str, Sequence[Any]]
) -> dict[str, float | None]:
    """Of answers about items, each with the item that it is judged at."""
    judges = {"title": _same_title, "year": _same_year, "genres": _overlap}
    found: dict[str, float | None] = {}
    for name, judge in judges.items():
        column = catalogue.get(name) or ()
        known = [(said[name], column[at]) for at, said in answers.values() if column and column[at] and name in said]
        found[name] = float(np.mean([judge(*pair) for pair in known])) if known else None
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
