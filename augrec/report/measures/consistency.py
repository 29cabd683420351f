"""Whether what a profile says of genres fits the items that its user has in training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from augrec.report.measures.agreement import strangers
from augrec.report.measures.source_records import SourceRecords

LIKED, DISLIKED = "liked_genres", "disliked_genres"
TOP = 3

Histories = Mapping[int, Sequence[Sequence[str]]]
"""user -> the genres of each training item."""


@dataclass(frozen=True)
class Consistency:
    """Genres in the profiles of one source against its users' training histories, as means of shares.

    Attributes:
        source: who wrote the profiles.
        users: those whose profile names genres and whose history has some.
        liked_in_history: of the genres named as liked, those that occur in the history.
        liked_in_top3: those that are among the three commonest of it.
        disliked_in_history: of those named as disliked, those that occur; None where none are named.
        strangers: `liked_in_history` with the profile of another user; None with one user.
    """

    source: str
    users: int
    liked_in_history: float | None
    liked_in_top3: float | None
    disliked_in_history: float | None
    strangers: float | None


def consistency(records: SourceRecords, histories: Histories, *, seed: int = 0) -> Consistency | None:
    """How far the profiles of one source fit their users' histories; None where none of them names genres.

    Each figure is a mean over users of a share of the genres that the user's profile names. The top 3 of a history
    includes those that tie with its third. Users whose history has no genre are left out.

    Args:
        records: user profiles.
        histories: of training interactions alone.
        seed: of whose profile stands for a stranger's.
    """
    users = [
        user
        for user in records.answered().tolist()
        if _genres(records, user, LIKED) and any(genre for item in histories.get(user, ()) for genre in item)
    ]
    if not users:
        return None
    counts = [Counter(g.casefold() for item in histories[user] for g in dict.fromkeys(item)) for user in users]
    liked = [_genres(records, user, LIKED) for user in users]
    disliked = [_genres(records, user, DISLIKED) for user in users]
    chance = None
    if len(users) > 1:
        other = strangers(len(users), np.random.default_rng([seed, 0xC0]))
        chance = _mean([_within(liked[o], set(known)) for o, known in zip(other, counts, strict=True)])
    return Consistency(
        source=records.source,
        users=len(users),
        liked_in_history=_mean([_within(named, set(known)) for named, known in zip(liked, counts, strict=True)]),
        liked_in_top3=_mean([_within(named, commonest(known)) for named, known in zip(liked, counts, strict=True)]),
        disliked_in_history=_mean(
            [_within(named, set(known)) for named, known in zip(disliked, counts, strict=True) if named]
        ),
        strangers=chance,
    )


def commonest(counts: Counter[str]) -> set[str]:
    """The three commonest, and those that are as common as the last of them."""
    least = sorted(counts.values(), reverse=True)[:TOP][-1]
    return {genre for genre, count in counts.items() if count >= least}


def _genres(records: SourceRecords, user: int, field: str) -> set[str]:
    values = (fields.get(field) for fields in records.answers_about(user))
    genres = (genre for value in values if isinstance(value, list) for genre in value)
    return {genre.casefold() for genre in genres if isinstance(genre, str)}


def _within(named: set[str], known: set[str]) -> float:
    return len(named & known) / len(named)


def _mean(shares: list[float]) -> float | None:
    return float(np.mean(shares)) if shares else None
