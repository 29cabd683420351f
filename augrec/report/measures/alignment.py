"""Whether texts belong to the ids they stand at: do items (users) with near texts meet in histories more than chance?

Near ones are each item's nearest by the cosine of its text's vector. Where texts say what the items are, near ones meet
more often than their popularity explains (`meetings` says how that is known): who read one fantasy novel reads another.
Texts that stand at the wrong ids do not, and no model can learn anything from them.

Three controls stand beside each answer. Neighbours by the histories of one half of the users have to meet in the other
half (positive): else these histories hold nothing that could be found, and how far they do is the measure of what
texts could reach. Neighbours by popularity alone and the texts at shuffled ids (negative) should not; as far as they
do, chance is set that much higher.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp

from augrec.report.measures.directions import Vectors, present, unit_rows
from augrec.report.measures.meetings import FOUND, Histories, Meetings

About = Literal["user", "item"]
Verdict = Literal["aligned", "apart", "unrelated", "undecided"]

PERMUTATIONS = 499
LEAST_PAIRS = 5_000
"""With fewer near pairs nothing is said."""
PAIRS = 20_000
"""So many are looked for, and `LEAST_NEAR` of each at least."""
LEAST_NEAR = 5
NEAR_SHARE = 0.05
"""No more than this share of all are near to one."""
BELONGS = 0.15
"""Texts are called apart from their ids where they reach less than this share of what half of the histories foretells.
The genres of MovieLens reach .49 of it, what it says of its users .17 (docs/evaluation.md): it was set after these data
had been seen, and LLMRec's titles of Netflix too, for which the word therefore describes and does not test."""
MOST = 10_000
"""Of more items the most popular take part: they meet most, and all pairs fit into memory."""
MOST_OTHERS = 20_000
"""Of more users so many are drawn."""
ROUNDED = 6
"""Decimals of a cosine; equal ones are in drawn order, for ids may know popularity."""
CELLS = 2**22  # cosines in memory at a time


@dataclass(frozen=True)
class Alignment:
    """What the probe found of one set of texts.

    Attributes:
        of: whose texts: a source and task, or the data's own.
        about: what the texts describe.
        vectors: how texts became vectors.
        entities: items (users) with a text and a training interaction that took part.
        texts: how often those with near texts meet.
        histories: positive control: near by half of the histories, judged by the other half.
        popularity: negative control: near by popularity.
        shuffled: negative control: near by the texts of others.
        verdict: `aligned`: those with near texts meet more than chance; `apart`: they do not, and texts that belong
            here would be seen; `unrelated`: the same of texts whose ids are known to be right; `undecided`: neither can
            be said.
        why: the reason in words.
    """

    of: str
    about: About
    vectors: str
    entities: int
    texts: Meetings
    histories: Meetings
    popularity: Meetings
    shuffled: Meetings
    verdict: Verdict
    why: str

    def with_ids_known(self) -> Alignment:
        """What the same says of texts that stand at the very ids they were asked about: they are not apart from them.

        Texts at other ids meet as by chance, and so do texts whose writer made up what sets them apart: histories
        cannot tell the two, but whoever asked knows the ids.
        """
        if self.verdict != "apart":
            return self
        return replace(self, verdict="unrelated", why=f"{self.why.partition(':')[0]}: {NOISE}")


NOISE = (
    "each stands at the id that was asked about, so what these texts differ in says nothing that bears on who likes "
    "what, be it made up or said of everybody alike"
)


def alignment(
    of: str,
    about: About,
    vectors: Vectors,
    train: np.ndarray,
    *,
    made_by: str = "tf-idf",
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> Alignment:
    """Probes one set of texts.

    Args:
        of: its name.
        about: what the rows of `vectors` are.
        vectors: [n, d], dense or CSR, a row of zeros where there is no text.
        train: int64 [m, 2] of (user, item): the training interactions and no others.
        made_by: how texts became vectors.
        seed: of permutations and draws.
        permutations: how many.
    """
    rng = np.random.default_rng([seed, 0xA119])
    matrix, rows = _taking_part(vectors, train if about == "item" else train[:, ::-1], rng)
    histories, near = Histories.of(matrix), nearest(vectors[rows], rng)
    alone = near_in_popularity(histories.popularity, near_each(len(rows)), rng)
    texts = histories.meetings(near, rng, permutations)
    positive = by_halves(matrix, rng, permutations)
    popularity = histories.meetings(alone, rng, permutations)
    shuffled = histories.meetings(rng.permutation(len(rows))[near], rng, permutations)
    verdict, why = judged(texts, positive, (popularity, shuffled))
    return Alignment(of, about, made_by, len(rows), texts, positive, popularity, shuffled, verdict, why)


def judged(texts: Meetings, positive: Meetings, negative: tuple[Meetings, ...]) -> tuple[Verdict, str]:
    """The verdict by a fixed rule, and its reason.

    Texts are aligned where permutations say so and their ratio stands above that of every negative control that is
    found itself, by as much as chance would need.
    """
    if texts.pairs < LEAST_PAIRS:
        return "undecided", f"{texts.pairs:,} near pairs are too few to tell; at least {LEAST_PAIRS:,} are needed"
    if texts.ratio is None or texts.spread is None or texts.reach is None:
        return "undecided", "no two meet in these histories"
    if not positive.found:
        return "undecided", "neighbours by half of the histories do not meet in the other half: nothing could be found"
    found = f"those with near texts meet {texts.ratio:.2f} times as often as by chance"
    chance = max((control.ratio or 1.0 for control in negative if control.found), default=1.0)
    if texts.found and texts.ratio - FOUND * texts.spread > chance:
        return "aligned", found
    if texts.reach - 1 < BELONGS * ((positive.ratio or 1.0) - 1):
        return "apart", (
            f"{found}, {texts.reach:.2f} times at most where histories reach {positive.ratio:.2f}: these texts do not "
            "belong to these ids, or say nothing that bears on who likes what"
        )
    return "undecided", f"{found}; only {texts.detectable:.2f} times would be found four times in five"


def _taking_part(vectors: Vectors, pairs: np.ndarray, rng: np.random.Generator) -> tuple[sp.csr_array, np.ndarray]:
    """Of `pairs` [m, 2] of (other, entity): int32 [others, entities] of those who take part, and the entities' rows."""
    who, others = np.unique(pairs[:, 0], return_inverse=True)
    ones = np.ones(len(pairs), dtype=np.int32)
    matrix = sp.csr_array((ones, (others, pairs[:, 1])), shape=(len(who), vectors.shape[0]))
    matrix.data[:] = 1
    if len(who) > MOST_OTHERS:
        matrix = matrix[np.sort(rng.choice(len(who), MOST_OTHERS, replace=False))]
    popularity = np.asarray(matrix.sum(axis=0))
    rows = rng.permutation(np.flatnonzero(present(vectors) & (popularity > 0)))
    rows = np.sort(rows[np.argsort(-popularity[rows], kind="stable")[:MOST]])
    return matrix[:, rows], rows


def near_each(n: int) -> int:
    """How many of n are near to each: so many that there are `PAIRS`, within bounds."""
    return max(1, min(max(LEAST_NEAR, -(-PAIRS // max(n, 1))), int(NEAR_SHARE * n)))


def nearest(vectors: Vectors, rng: np.random.Generator) -> np.ndarray:
    """int64 [m, 2], lower first: each row's nearest others by cosine, where that is above zero.

    Args:
        vectors: [n, d], dense or CSR; a row of zeros is near to nobody.
        rng: orders those that are equally near.
    """
    unit = unit_rows(vectors)
    n = unit.shape[0]
    wanted, step, pairs = min(near_each(n), n - 1), max(1, CELLS // max(n, 1)), []
    for start in range(0, n if wanted > 0 else 0, step):
        alike = unit[start : start + step] @ unit.T
        alike = np.round(alike.toarray() if sp.issparse(alike) else alike, ROUNDED)
        rows = np.arange(len(alike))
        alike[rows, start + rows] = -np.inf
        drawn = alike + rng.random(alike.shape) * 10.0**-ROUNDED / 2
        best = np.argpartition(-drawn, wanted - 1, axis=1)[:, :wanted]
        near = np.take_along_axis(alike, best, axis=1) > 0
        pairs.append(np.stack([np.repeat(start + rows, near.sum(axis=1)), best[near]], axis=1))
    return _distinct(pairs)


def near_in_popularity(popularity: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """int64 [m, 2], lower first: each with the `wanted` that follow it by popularity, equal ones in drawn order."""
    order = np.lexsort((rng.random(len(popularity)), popularity))
    gaps = range(1, min(wanted, len(order) - 1) + 1)
    return _distinct([np.stack([order[:-gap], order[gap:]], axis=1) for gap in gaps])


def by_halves(matrix: sp.csr_array, rng: np.random.Generator, permutations: int) -> Meetings:
    """How often those near by the histories of one half of the others [others, n] meet in the other half."""
    order = rng.permutation(matrix.shape[0])
    mine, theirs = matrix[order[::2]], matrix[order[1::2]]
    both = np.flatnonzero((mine.sum(axis=0) > 0) & (theirs.sum(axis=0) > 0))
    near = nearest(sp.csr_array(mine[:, both].T), rng)
    return Histories.of(theirs[:, both]).meetings(near, rng, permutations)


def _distinct(pairs: list[np.ndarray]) -> np.ndarray:
    """Each pair once, the lower one first."""
    together = np.concatenate([*pairs, np.empty((0, 2), dtype=np.int64)])
    return np.unique(np.sort(together, axis=1), axis=0)
