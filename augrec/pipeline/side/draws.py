"""What the controls draw in place of an augmentation: the same amount, without its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from augrec.artefacts.errors import DataError
from augrec.artefacts.sorted_rows import among_sorted
from recsys.augmentation import Edges, FeatureMatrix
from recsys.data.dataset import Dataset

RARELY_UNSEEN = 32  # of so many drawn items fewer than one would be unseen: such a user's unseen items are listed


def random_edges(edges: Edges, dataset: Dataset, rng: np.random.Generator) -> Edges:
    """The same users and weights, each with two different items drawn uniformly from those not in its training items.

    By rejection, all edges at once: time and memory grow with the edges and the interactions, not with users x items.

    Raises:
        DataError: a user has fewer than two items to draw from.
    """
    n_items = dataset.n_items
    unseen = n_items - np.diff(dataset.starts("train"))
    if (poor := edges.user[unseen[edges.user] < 2]).size:
        raise DataError(
            "random edges need two items that a user has no training interaction with",
            where=f"user {poor[0]}",
            remedy="use `none`, or a data set with more items",
        )
    owned = np.sort(dataset.train @ np.array([n_items, 1]))
    drawn = np.empty((2, len(edges)), dtype=np.int64)
    rare = unseen[edges.user] * RARELY_UNSEEN < n_items
    for user in np.unique(edges.user[rare]):
        first, end = np.searchsorted(owned, [user * n_items, (user + 1) * n_items])
        choices = np.setdiff1d(np.arange(n_items), owned[first:end] - user * n_items)
        for edge in np.flatnonzero(edges.user == user):
            drawn[:, edge] = rng.choice(choices, size=2, replace=False)
    open_edges = np.flatnonzero(~rare)
    while open_edges.size:
        pairs = rng.integers(n_items, size=(2, open_edges.size))
        taken = among_sorted(edges.user[open_edges] * n_items + pairs, owned).any(axis=0) | (pairs[0] == pairs[1])
        drawn[:, open_edges[~taken]] = pairs[:, ~taken]
        open_edges = open_edges[taken]
    return Edges(edges.user, drawn[0], drawn[1], edges.weight)


def random_candidate_edges(
    edges: Edges, record: np.ndarray, shown: Mapping[int, Sequence[int]], rng: np.random.Generator
) -> Edges:
    """The same users and weights, with items drawn uniformly from the candidates that the edge's own record showed.

    As many different positives as the record gave, and one negative for all of them that is none of these.

    Args:
        edges: of any number of records.
        record: int64 [m], which record each edge is of.
        shown: the candidates of each record.
        rng: where the draws come from.

    Raises:
        DataError: a record says of too few candidates that it showed them.
    """
    positive, negative = np.empty_like(edges.user), np.empty_like(edges.user)
    order = np.argsort(record, kind="stable")
    records, counts = np.unique(record, return_counts=True)
    for number, places in zip(records.tolist(), np.split(order, np.cumsum(counts)[:-1]), strict=True):
        candidates = np.unique(np.asarray(shown.get(number, ()), dtype=np.int64))
        if len(candidates) <= len(places):
            user = edges.user[places[0]]
            raise DataError(
                f"a record of user {user} names {len(candidates)} candidates; {len(places) + 1} are to be drawn from "
                "them",
                remedy="use `random` for a source whose records do not say what was shown",
            )
        items = rng.permutation(candidates)
        positive[places], negative[places] = items[: len(places)], items[-1]
    return Edges(edges.user, positive, negative, edges.weight)


def shuffled_edges(edges: Edges, dataset: Dataset, rng: np.random.Generator) -> Edges:
    """Every user with the edges of another one; those that hold a training item of the new user are left out."""
    users, place = np.unique(edges.user, return_inverse=True)
    owner = np.empty_like(users)
    owner[derangement(np.arange(len(users)), rng)] = users
    user = owner[place]
    owned = np.sort(dataset.train @ np.array([dataset.n_items, 1]))
    items = np.stack([edges.positive, edges.negative])
    owns = among_sorted(user * dataset.n_items + items, owned) & (items < dataset.n_items)
    kept = np.flatnonzero(~owns.any(axis=0))
    kept = kept[np.argsort(user[kept], kind="stable")]
    return Edges(user[kept], edges.positive[kept], edges.negative[kept], edges.weight[kept])


def shuffled(matrices: Mapping[str, FeatureMatrix], rng: np.random.Generator) -> dict[str, FeatureMatrix]:
    """Every row with the features of another row, all of its matrices together (a director with his country).

    Rows without any vector are left alone. A row that lacks one matrix's vector passes the lack on with the others.
    No row keeps its own, and as few as can be get vectors equal to their own.

    Args:
        matrices: by name, all of the same rows.
        rng: where the draw comes from.
    """
    return moved(matrices, exchanged(matrices, rng)) if matrices else {}


def exchanged(matrices: Mapping[str, FeatureMatrix], rng: np.random.Generator) -> np.ndarray:
    """int64 [n], whose features each row gets in `shuffled`; at least one matrix."""
    contents = np.stack([np.where(one.mask, one.index, -1) for one in matrices.values()], axis=1)
    present = np.flatnonzero((contents >= 0).any(axis=1))
    _, groups = np.unique(contents[present], axis=0, return_inverse=True)
    source = np.arange(len(contents))
    source[present] = present[derangement(groups.ravel(), rng)]
    return source


def moved(matrices: Mapping[str, FeatureMatrix], source: np.ndarray) -> dict[str, FeatureMatrix]:
    """The matrices with row i being what row `source[i]` was."""
    return {name: FeatureMatrix(one.values, one.index[source], one.mask[source]) for name, one in matrices.items()}


def derangement(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A seeded permutation [n] without fixed points (for n > 1), that leads as few as can be into their own group.

    The places are put in a random order with each group together, and every one is led to the place `step` further,
    where `step` is drawn from those that no group is long enough for. A group of more than half of all cannot be
    avoided by all of its members; then as many as possible avoid it.

    Args:
        groups: [n], the group of each place; distinct values make a plain derangement.
        rng: where the draw comes from.
    """
    n = len(groups)
    if n < 2:
        return np.arange(n)
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.lexsort((rng.random(n), rng.permutation(len(sizes))[group]))
    largest = int(sizes.max())
    least, most = max(1, min(largest, n - largest)), min(n - 1, max(largest, n - largest))
    result = np.empty(n, dtype=np.int64)
    result[order] = np.roll(order, -int(rng.integers(least, most + 1)))
    return result


def without_content(matrix: FeatureMatrix, kind: str, rng: np.random.Generator) -> FeatureMatrix:
    """Vectors of the mean length of those there are, in random directions; or, `constant`, their mean for everybody.

    Rows without a vector stay without.
    """
    present = matrix.dense()[matrix.mask]
    if kind == "random":
        length = np.linalg.norm(present, axis=1).mean() if len(present) else 1.0
        dense = rng.standard_normal((matrix.rows, matrix.dim))
        dense *= length / np.linalg.norm(dense, axis=1, keepdims=True)
    else:
        dense = np.tile(present.mean(axis=0), (matrix.rows, 1))
    return FeatureMatrix.from_dense(dense, missing=np.flatnonzero(~matrix.mask))
