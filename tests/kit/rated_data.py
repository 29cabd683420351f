"""Ratings that follow from what users and items are, with tables of both and attributes that somebody wrote."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from recsys.augmentation import AttributeNodes, SideInformation
from recsys.data.dataset import Dataset

GENRES = ("Action", "Comedy", "Drama", "Western")


def rated_data(n_users: int = 30, n_items: int = 20, per_user: int = 12, seed: int = 4) -> Dataset:
    """Every user rates items by own mood, the item's quality, and a liking of one genre.

    The last user and the last item have no interaction. Users have an age, a gender (one has none) and a motto of their
    own; items have one to three genres (one has none), a year and a title of their own.
    """
    rng = np.random.default_rng(seed)
    mood, quality = rng.uniform(1, 3, n_users), rng.uniform(0, 1, n_items)
    genres = [
        [] if item == 1 else [GENRES[place] for place in sorted({item % 4, item % 3, item % 2})]
        for item in range(n_items)
    ]
    rows = [
        (user, int(item), mood[user] + quality[item] + (GENRES[user % 4] in genres[item]))
        for user in range(n_users - 1)
        for item in rng.permutation(n_items - 1)[:per_user]
    ]
    pairs, ratings = np.array([row[:2] for row in rows]), np.array([row[2] for row in rows], dtype=np.float32)
    place = np.arange(len(rows)) % per_user
    parts = [place < per_user - 2, place == per_user - 2, place == per_user - 1]
    users = pa.table(
        {
            "user": pa.array(range(n_users), pa.int32()),
            "source_id": [f"u{user}" for user in range(n_users)],
            "age": pa.array([20 + user % 7 for user in range(n_users)], pa.int16()),
            "gender": pa.array([None if user == 2 else "FM"[user % 2] for user in range(n_users)]),
            "motto": [f"motto of {user}" for user in range(n_users)],
        }
    )
    items = pa.table(
        {
            "item": pa.array(range(n_items), pa.int32()),
            "source_id": [f"i{item}" for item in range(n_items)],
            "title": [f"Film {item}" for item in range(n_items)],
            "genres": pa.array(genres, pa.list_(pa.string())),
            "year": pa.array([1950 + 3 * item for item in range(n_items)], pa.int16()),
        }
    )
    return Dataset.from_arrays(
        n_users,
        n_items,
        *(pairs[part] for part in parts),
        ratings=[ratings[part] for part in parts],
        users=users,
        items=items,
    )


def directors(n_items: int = 20) -> SideInformation:
    """Who directed an item, as an LLM would say: five people, one of one film; item 3 has two, item 4 none."""
    names = (*(("director", f"Director {name}") for name in "ABCDE"),)
    pairs = [(item, item % 4) for item in range(n_items - 1) if item not in (4, 6)] + [(3, 0), (6, 4)]
    return SideInformation(nodes=AttributeNodes(names, np.array(sorted(pairs)), np.zeros((0, 2), dtype=np.int64)))
