"""Whether profiles rest on what the prompt shows, or on what the model knows of the names in it.

The same source is asked twice: with the items' names, and with names taken away. A model that reads the attributes
shown writes much the same; one that remembers the items by name cannot.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.compare.agreement import agreement
from pipeline.compare.consistency import Histories, consistency
from pipeline.compare.records import Records

FEWEST = 30
CLEAR = 0.05
"""Shares that differ by less are called alike."""


def memorisation(
    named: Records,
    anonymous: Records,
    vectors_named: np.ndarray | None = None,
    vectors_anonymous: np.ndarray | None = None,
    histories: Histories | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """The entry `memorisation` of compare.json. See `agreement` and `consistency` for the arguments."""
    alike = agreement(named, anonymous, vectors_named, vectors_anonymous, seed=seed)
    fits = [consistency(one, histories or {}, seed=seed) for one in (named, anonymous)]
    with_names, without = (one["liked_in_history"] if one else None for one in fits)
    return {
        "named": named.source,
        "anonymous": anonymous.source,
        "entities": alike["entities"],
        "exact": alike["exact"],
        "cosine": alike["cosine"],
        "cosine_strangers": alike["cosine_strangers"],
        "consistency_named": with_names,
        "consistency_anonymous": without,
        "verdict": verdict(alike, with_names, without),
    }


def verdict(alike: dict[str, Any], named: float | None, anonymous: float | None) -> str:
    """What the figures say, by a fixed rule: by consistency where there is some, else by likeness of the texts.

    Texts are called alike where their cosine is nearer to 1 than to that of strangers.
    """
    if alike["entities"] < FEWEST:
        return f"Too few users to tell: {alike['entities']}, and {FEWEST} are needed."
    if named is not None and anonymous is not None:
        change = named - anonymous
        if change > CLEAR:
            return f"Names matter: without them {100 * change:.0f} points fewer of the liked genres fit the history."
        if change < -CLEAR:
            return f"Names mislead: without them {-100 * change:.0f} points more of the liked genres fit the history."
        return "Names hardly matter: the liked genres fit the history as well without them."
    own, strange = alike["cosine"], alike["cosine_strangers"]
    if own is None or strange is None:
        return "Nothing to compare by: there are neither genres nor vectors."
    if own - strange <= CLEAR * (1 - strange):
        return "Names are all: without them a user's text is no more like the one with names than a stranger's."
    if own >= (1 + strange) / 2:
        return "Names hardly matter: the texts are alike without them."
    return "Names matter: without them the texts of the same user differ, though less than those of strangers."
