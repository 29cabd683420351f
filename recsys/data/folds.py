"""Training interactions in folds: each is predicted by a model that was trained without it.

Which fold holds out an interaction follows from its two names and the seed alone, so that an interaction more or less,
or another rating, moves no other one.
"""

from __future__ import annotations

import hashlib

import numpy as np

from augrec.artefacts.hashed_numbers import hashed_names
from recsys.data.dataset import Dataset
from recsys.data.splits import hashed_pairs

NOWHERE = -1
"""The fold of an interaction that every model is trained on."""


def interaction_folds(dataset: Dataset, count: int, seed: int) -> np.ndarray:
    """int64 [m], aligned with `dataset.train`: the fold that each interaction is held out in.

    Where all interactions of a user fall into one fold, the one with the lowest hash is held out nowhere: everybody
    keeps one in every fold.

    Args:
        dataset: with training interactions.
        count: of folds, 2 or more.
        seed: another one makes other folds.
    """
    users, items = dataset.train.T
    keys = hashed_pairs(users, items, _names(dataset), _salt(seed, "interactions"))
    folds = (keys % np.uint64(count)).astype(np.int64)
    order = np.lexsort((keys, users))
    starts = np.flatnonzero(np.append(True, np.diff(users[order]) != 0)[: len(users)])
    if len(starts):
        alone = np.minimum.reduceat(folds[order], starts) == np.maximum.reduceat(folds[order], starts)
        folds[order[starts[alone]]] = NOWHERE
    return folds


def last_item_folds(dataset: Dataset, count: int, seed: int) -> np.ndarray:
    """int64 [m], aligned with `dataset.train`: the last training item of each user is held out in the user's own fold.

    A user with one training item keeps it; the other items are held out nowhere.
    """
    names = np.array([str(name) for name in dataset.users["source_id"].to_pylist()])
    fold_of = (hashed_names(names, _salt(seed, "users")) % np.uint64(count)).astype(np.int64)
    starts, order = dataset.starts("train"), dataset.by_time("train")
    enough = np.flatnonzero(np.diff(starts) >= 2)
    folds = np.full(len(dataset.train), NOWHERE)
    folds[order[starts[enough + 1] - 1]] = fold_of[enough]
    return folds


def drawn_items(dataset: Dataset, users: np.ndarray, count: int, seed: int, fold: int) -> np.ndarray:
    """int64 [m, 2] of (user, item): for each user distinct items without an interaction in training, sorted.

    Held-out items of other splits are drawn like any: leaving them out would tell of them.

    Args:
        dataset: what is known of training.
        users: int64, distinct.
        count: items per user; fewer where a user has fewer items left.
        seed, fold: another one draws other items.
    """
    starts, salt = dataset.starts("train"), _salt(seed, f"drawn/{fold}")
    words = hashed_names(np.array([str(name) for name in dataset.users["source_id"].to_pylist()]), salt)
    drawn = []
    for user in users.tolist():
        seen = dataset.train[starts[user] : starts[user + 1], 1]
        items = _unseen(seen, dataset.n_items, count, np.random.default_rng(int(words[user])))
        drawn.append(np.stack([np.full(len(items), user), np.sort(items)], axis=1))
    return np.concatenate(drawn) if drawn else np.empty((0, 2), dtype=np.int64)


def _unseen(seen: np.ndarray, n_items: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Items drawn uniformly from those not in `seen`, without putting any back."""
    if n_items - len(seen) <= 2 * count:  # few are left: drawing from all would find them rarely
        return rng.permutation(np.setdiff1d(np.arange(n_items), seen))[:count]
    taken, found = set(seen.tolist()), list[int]()
    while len(found) < count:
        for item in rng.integers(n_items, size=2 * count).tolist():
            if item not in taken and len(found) < count:
                taken.add(item)
                found.append(item)
    return np.array(found, dtype=np.int64)


def _names(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    users, items = (table["source_id"].to_pylist() for table in (dataset.users, dataset.items))
    return np.array([str(name) for name in users]), np.array([str(name) for name in items])


def _salt(seed: int, purpose: str) -> bytes:
    return hashlib.sha256(f"{seed}/folds/{purpose}".encode()).digest()[:16]
