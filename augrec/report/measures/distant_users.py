"""Whether a model holds users near who are far apart in the graph and alike in what is written about them.

Source: the case study of RLMRec (Ren et al., WWW 2024, Figure 6), which shows one pair of users more than three hops
apart whose profiles are alike, and that a model with aligned texts brings them nearer than one without. One pair proves
little; here are many, a chance, and an interval.
Two users who have an item in common are two hops apart, users of such users four. Far of a user are all others more
than `hops` away; of these, its nearest in the texts are the ones whose place is looked at: how many of a hundred far
users the model holds further away than them. By chance that is 50.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from augrec.artefacts.errors import DataError
from augrec.report.measures.resampled_means import ALPHA, SAMPLES
from augrec.report.numbers.statistics import bootstrap_intervals

USERS_AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class DistantPairs:
    """Users, whom they are far from, and who of these has a text like theirs."""

    hops: int
    users: np.ndarray
    """int64 [q], those who have at least `near` + 1 far users with a text."""
    far: np.ndarray
    """bool [q, n_users]."""
    near: np.ndarray
    """int64 [q, k], of the far ones the nearest in the texts, the nearest first."""
    drawn: np.ndarray
    """int64 [q, k], as many far ones, drawn."""


@dataclass(frozen=True)
class Nearness:
    """Where a model holds them: of a hundred far users, so many are further away. By chance, 50."""

    variant: str
    seeds: int
    users: int
    near: float
    """Than the nearest in the texts."""
    drawn: float
    """Than those that were drawn: what a chance gives on this very sample."""
    low: float
    high: float
    """Bounds of `near` less `drawn`, a 95 % bootstrap interval over users; models are held fixed."""
    above: float | None
    """`near` less that of the baseline; None for the baseline."""
    above_low: float | None
    above_high: float | None
    """Its interval."""


def distant_pairs(
    train: np.ndarray,
    n_users: int,
    n_items: int,
    texts: np.ndarray,
    known: np.ndarray,
    *,
    hops: int,
    near: int,
    sample: int,
    rng: np.random.Generator,
) -> DistantPairs:
    """Draws users, and finds who is far from them and alike.

    Args:
        train: int64 [m, 2] of (user, item): the graph.
        n_users, n_items: its sizes.
        texts: float32 [n_users, d], a vector of each user's text.
        known: bool [n_users], who has one; the others take no part.
        hops: far is more than so many away; an odd number, as users are even numbers apart.
        near: how many of a user's far ones are looked at.
        sample: users that are drawn, of those with a text and an interaction.
        rng: draws users, and who stands for a chance.

    Raises:
        DataError: nobody has enough far users with a text.
    """
    ones = np.ones(len(train), np.float32)
    graph = csr_matrix((ones, (train[:, 0], train[:, 1])), shape=(n_users, n_items))
    able = np.flatnonzero(known & (np.diff(graph.indptr) > 0))
    chosen = np.sort(rng.choice(able, size=min(sample, len(able)), replace=False))
    unit = _unit(texts)
    users, fars, nears, drawns = [], [], [], []
    for start in range(0, len(chosen), USERS_AT_ONCE):
        batch = chosen[start : start + USERS_AT_ONCE]
        far = ~_within(graph, batch, hops) & known
        alike = np.where(far, unit[batch] @ unit.T, -np.inf)
        for row, user in enumerate(batch.tolist()):
            others = np.flatnonzero(far[row])
            if len(others) <= near:
                continue
            order = others[np.argsort(-alike[row, others], kind="stable")]
            users.append(user)
            fars.append(far[row])
            nears.append(order[:near])
            drawns.append(rng.choice(others, size=near, replace=False))
    if not users:
        raise DataError(
            f"no user has more than {near} others who are more than {hops} hops away and have a text",
            remedy="look at fewer hops",
        )
    return DistantPairs(hops, np.array(users), np.array(fars), np.array(nears), np.array(drawns))


def places(embeddings: np.ndarray, pairs: DistantPairs) -> np.ndarray:
    """float64 [q, 2]: of a hundred far users, how many a model holds further away than the near and the drawn ones.

    Args:
        embeddings: float32 [n_users, d]; nearness is their cosine, and equal ones count half.
        pairs: see `distant_pairs`.
    """
    unit = _unit(embeddings)
    found = np.empty((len(pairs.users), 2))
    for row, user in enumerate(pairs.users.tolist()):
        cosines = unit @ unit[user]
        ordered = np.sort(cosines[pairs.far[row]])
        for column, others in enumerate((pairs.near[row], pairs.drawn[row])):
            own = cosines[others]
            below, up_to = np.searchsorted(ordered, own, "left"), np.searchsorted(ordered, own, "right")
            found[row, column] = 100 * np.mean((below + (up_to - below - 1) / 2) / (len(ordered) - 1))
    return found


def nearness(
    variant: str, seeds: int, found: np.ndarray, baseline: np.ndarray | None, rng: np.random.Generator
) -> Nearness:
    """A variant's places as means over users, with intervals.

    Args:
        variant: its name.
        seeds: how many trainings `found` is the mean of.
        found: float64 [q, 2], see `places`.
        baseline: those of the variant to compare with, of the same users; None for itself.
        rng: of the resamples.
    """
    over_chance = found[:, 0] - found[:, 1]
    columns = [over_chance] if baseline is None else [over_chance, found[:, 0] - baseline[:, 0]]
    low, high = bootstrap_intervals(np.stack(columns, axis=1), SAMPLES, ALPHA, rng)
    near, drawn = found.mean(axis=0).tolist()
    above = None if baseline is None else float((found[:, 0] - baseline[:, 0]).mean())
    return Nearness(
        variant,
        seeds,
        len(found),
        near,
        drawn,
        float(low[0]),
        float(high[0]),
        above,
        None if baseline is None else float(low[1]),
        None if baseline is None else float(high[1]),
    )


def _within(graph: csr_matrix, batch: np.ndarray, hops: int) -> np.ndarray:
    """bool [b, n_users]: who is at most `hops` away, oneself included."""
    reached = np.zeros((len(batch), graph.shape[0]), dtype=bool)
    reached[np.arange(len(batch)), batch] = True
    for _ in range(hops // 2):
        reached |= ((csr_matrix(reached, dtype=np.float32) @ graph) @ graph.T).toarray() > 0
    return reached


def _unit(rows: np.ndarray) -> np.ndarray:
    """float32, each row at length 1; zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows, dtype=np.float32), where=lengths > 0)
