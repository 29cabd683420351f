"""Whether answers rest on what the prompt shows, or on what the model knows of the names in it.

The same source is asked twice: with the items' names, and with names taken away. A model that reads the attributes
shown writes much the same; one that remembers the items by name cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augrec.report.measures.agreement import Agreement, agreement
from augrec.report.measures.consistency import Histories, consistency
from augrec.report.measures.position import position
from augrec.report.measures.source_records import SourceRecords

FEWEST = 30
CLEAR = 0.05
"""Shares that differ by less are called alike."""


@dataclass(frozen=True)
class Memorisation:
    """One source asked with the items' names and without them.

    Attributes:
        named, anonymous: the two sources.
        task: what both were asked.
        entities, exact, cosine, cosine_strangers: see `Agreement`.
        consistency_named, consistency_anonymous: shares of the liked genres that fit the history.
        same_choice: how often the candidate chosen as likely stays the same.
        chance_of_choice: how often it would by place alone.
        verdict: what the figures say, by a fixed rule.
    """

    named: str
    anonymous: str
    task: str
    entities: int
    exact: float | None
    cosine: float | None
    cosine_strangers: float | None
    consistency_named: float | None
    consistency_anonymous: float | None
    same_choice: float | None
    chance_of_choice: float | None
    verdict: str


def memorisation(
    named: SourceRecords,
    anonymous: SourceRecords,
    vectors_named: np.ndarray | None = None,
    vectors_anonymous: np.ndarray | None = None,
    histories: Histories | None = None,
    *,
    seed: int = 0,
) -> Memorisation:
    """What the answers owe to names. See `agreement` and `consistency` for the arguments."""
    alike = agreement(named, anonymous, vectors_named, vectors_anonymous, seed=seed)
    fits = [consistency(records, histories or {}, seed=seed) for records in (named, anonymous)]
    with_names, without = (fit.liked_in_history if fit else None for fit in fits)
    chance = chance_of_choice(named, anonymous)
    return Memorisation(
        named=named.source,
        anonymous=anonymous.source,
        task=named.task,
        entities=alike.entities,
        exact=alike.exact,
        cosine=alike.cosine,
        cosine_strangers=alike.cosine_strangers,
        consistency_named=with_names,
        consistency_anonymous=without,
        same_choice=alike.fields.get("positive"),
        chance_of_choice=chance,
        verdict=verdict(alike, with_names, without, chance),
    )


def chance_of_choice(named: SourceRecords, anonymous: SourceRecords) -> float | None:
    """How often two choose the same candidate as likely who choose by place alone, every place as often as these did.

    None where no candidates were shown, as for profiles, or none was chosen.
    """
    places, shown = [], []
    for records in (named, anonymous):
        picks = position(records)
        if not picks.users:
            return None
        places.append(np.array(picks.positive) / picks.users)
        shown.append(records.of_questions("shown_candidates"))
    both = [(first, shown[1][asked]) for asked, first in shown[0].items() if asked in shown[1]]
    alike = [
        sum(places[0][n] * places[1][second.index(item)] for n, item in enumerate(first) if item in second)
        for first, second in both
        if (len(first), len(second)) == (len(places[0]), len(places[1]))
    ]
    return float(np.mean(alike)) if alike else None


def verdict(alike: Agreement, named: float | None, anonymous: float | None, chance: float | None = None) -> str:
    """What the figures say, by a fixed rule: by consistency where there is some, else by choices, else by the texts.

    Texts are called alike where their cosine is nearer to 1 than to that of strangers.
    """
    if alike.entities < FEWEST:
        return f"Too few users to tell: {alike.entities}, and {FEWEST} are needed."
    if named is not None and anonymous is not None:
        change = named - anonymous
        if change > CLEAR:
            return f"Names matter: without them {100 * change:.0f} points fewer of the liked genres fit the history."
        if change < -CLEAR:
            return f"Names mislead: without them {-100 * change:.0f} points more of the liked genres fit the history."
        return "Names hardly matter: the liked genres fit the history as well without them."
    if chance is not None and (same := alike.fields.get("positive")) is not None:
        return _choices(same, chance)
    own, strange = alike.cosine, alike.cosine_strangers
    if own is None or strange is None:
        return "Nothing to compare by: there are neither genres nor vectors."
    if own - strange <= CLEAR * (1 - strange):
        return "Names are all: without them a user's text is no more like the one with names than a stranger's."
    if own >= (1 + strange) / 2:
        return "Names hardly matter: the texts are alike without them."
    return "Names matter: without them the texts of the same user differ, though less than those of strangers."


def _choices(same: float, chance: float) -> str:
    """What edges say: how often the likely candidate stays the same without names, beside choosing by place alone."""
    kept = f"without them {100 * same:.0f} % of users keep the candidate chosen as likely"
    shares = f"{kept}; choosing by place alone gives {100 * chance:.0f} %."
    if same - chance <= CLEAR:
        return f"Edges do not tell what names add: {shares}"
    if same >= (1 + chance) / 2:
        return f"Names hardly matter to the edges: {shares}"
    return f"Names matter to the edges: {shares}"
