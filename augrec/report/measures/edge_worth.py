"""What a suggested edge is worth: how often it is a validation interaction, beside what costs nothing.

An edge says that a user likes an item. Its precision is the share of edges that are validation interactions of their
user. Beside it stand as many items for each of the same users by item-kNN (cosine of the columns of training; Deshpande
and Karypis, ACM TOIS 2004), and, where the records say which candidates a prompt showed, a uniform draw from these: the
list is the base recommender's work, and only the choice is the source's. By place in that list, because a source may
pick the first candidate whatever it is. Test interactions are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from augrec.report.measures.resampled_means import ResampledMean

CELLS = 2**22  # scores of item-kNN in memory at a time


@dataclass(frozen=True)
class EdgeWorth:
    """How often the edges of one source are right; every estimate is a share of edges, its interval over users.

    Attributes:
        source, task: who suggested them.
        users: those with an edge.
        edges: different pairs of user and item.
        known: edges that are training interactions already, which cannot be right.
        right: edges that are validation interactions.
        precision: right / edges.
        knn: of as many items of each user by item-kNN.
        above_knn: the first less the second.
        chosen: edges that stood in a list which their record shows.
        choice: the precision of these.
        random: of a uniform draw from the same lists.
        above_random: the one less the other.
        places: these edges by place in the list.
        right_at: how many of them are right.
    """

    source: str
    task: str
    users: int
    edges: int
    known: int
    right: int
    precision: ResampledMean
    knn: ResampledMean
    above_knn: ResampledMean
    chosen: int
    choice: ResampledMean
    random: ResampledMean
    above_random: ResampledMean
    places: tuple[int, ...]
    right_at: tuple[int, ...]


def edge_worth(
    source: str,
    task: str,
    edges: np.ndarray,
    train: np.ndarray,
    valid: np.ndarray,
    *,
    n_users: int,
    n_items: int,
    shown: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
) -> EdgeWorth:
    """Judges the edges of one source.

    Args:
        source, task: whose edges.
        edges: int64 [m, 2] of (user, item); repeated ones count once, and those beyond the catalogue not at all.
        train, valid: int64 [m, 2] of (user, item).
        n_users, n_items: of the data.
        shown: of each edge the candidates that its prompt showed, in their order, none where its record does not say;
            None where no record does.
        seed: of the resampling of users, and of the order of items that item-kNN finds equally good.
    """
    rng = np.random.default_rng([seed, 0xED6E])
    inside = np.flatnonzero(((edges >= 0) & (edges < np.array([n_users, n_items]))).all(axis=1))
    edges, first = np.unique(edges[inside], axis=0, return_index=True)
    lists = [tuple(shown[row]) if shown is not None else () for row in inside[first].tolist()]
    user, key, held_out = edges[:, 0], edges @ [n_items, 1], valid @ [n_items, 1]
    right = np.isin(key, held_out)
    place = np.array([_place(items, item) for items, item in zip(lists, edges[:, 1].tolist(), strict=True)], np.int64)
    among = place >= 0
    chance = np.zeros(len(edges))
    for row in np.flatnonzero(among).tolist():
        chance[row] = np.isin(np.array(lists[row]) + user[row] * n_items, held_out).mean()

    def by_user(of_edge: np.ndarray) -> np.ndarray:
        return np.bincount(user, weights=of_edge, minlength=n_users)

    suggested, chosen = by_user(np.ones(len(edges))), by_user(among)
    hits, chosen_hits, by_chance = by_user(right), by_user(right & among), by_user(chance)
    by_knn = knn_hits(suggested.astype(np.int64), train, valid, n_users, n_items, rng)
    longest = int(place.max(initial=-1)) + 1
    return EdgeWorth(
        source=source,
        task=task,
        users=int(np.count_nonzero(suggested)),
        edges=len(edges),
        known=int(np.isin(key, train @ [n_items, 1]).sum()),
        right=int(right.sum()),
        precision=share_of(hits, suggested, rng),
        knn=share_of(by_knn, suggested, rng),
        above_knn=share_of(hits - by_knn, suggested, rng),
        chosen=int(among.sum()),
        choice=share_of(chosen_hits, chosen, rng),
        random=share_of(by_chance, chosen, rng),
        above_random=share_of(chosen_hits - by_chance, chosen, rng),
        places=tuple(np.bincount(place[among], minlength=longest).tolist()),
        right_at=tuple(np.bincount(place[among & right], minlength=longest).tolist()),
    )


def share_of(hits: np.ndarray, edges: np.ndarray, rng: np.random.Generator) -> ResampledMean:
    """The share of all edges, and its interval of 95 % by resampling users.

    Args:
        hits: float64 [n_users], of each user's edges.
        edges: [n_users], how many; users without one take no part.
        rng: of the resampling.

    Returns:
        Nothing without edges; no interval for fewer than two users. The ratio of two sums is resampled as the mean of
        what each user adds to it in the first order (the delta method).
    """
    there = edges > 0
    if not there.any():
        return ResampledMean(None, None, None)
    hits, edges = hits[there], edges[there]
    share = float(hits.sum() / edges.sum())
    if len(edges) < 2:
        return ResampledMean(share, None, None)
    return replace(ResampledMean.of(share + (hits - share * edges) / edges.mean(), rng), mean=share)


def knn_hits(
    suggested: np.ndarray,
    train: np.ndarray,
    valid: np.ndarray,
    n_users: int,
    n_items: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """float64 [n_users]: how many of as many items of each user by item-kNN are validation interactions.

    Args:
        suggested: int64 [n_users], how many items each user gets, none of them from training.
        train, valid: int64 [m, 2] of (user, item).
        n_users, n_items: of the data.
        rng: orders items of equal score.
    """
    owns, wanted = (
        sp.csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_users, n_items))
        for pairs in (train, valid)
    )
    norm = np.sqrt(np.asarray(owns.sum(axis=0)).ravel())
    scale = sp.diags_array(np.divide(1.0, norm, out=np.zeros_like(norm), where=norm > 0))
    columns = sp.csr_array(owns @ scale)
    asked, hits, step = np.flatnonzero(suggested), np.zeros(n_users), max(1, CELLS // n_items)
    for start in range(0, len(asked), step):
        users = asked[start : start + step]
        scores = ((owns[users] @ columns.T) @ columns).toarray()  # an item's cosine with itself falls to those owned
        scores += rng.random(scores.shape) * 1e-9
        scores[owns[users].nonzero()] = -np.inf
        best = np.argsort(-scores, axis=1)[:, : int(suggested[users].max())]
        got = wanted[np.repeat(users, best.shape[1]), best.ravel()].reshape(best.shape)
        hits[users] = (got * (np.arange(best.shape[1]) < suggested[users][:, None])).sum(axis=1)
    return hits


def _place(shown: Sequence[int], item: int) -> int:
    return shown.index(item) if item in shown else -1
