"""A small world in RecBole's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

GENRES = ("Action", "Comedy", "Drama", "Horror")


def write_toy_data(folder: Path, n_users: int = 40, n_items: int = 30, n_seen: int = 12) -> Path:
    """Writes users who mostly watch one genre; ratings 2 to 5, times in order.

    Args:
        folder: for toy.inter, toy.item and toy.user; it must not be there yet.
        n_users: of them user u likes genre u modulo four.
        n_items: of them item i has genre i modulo four.
        n_seen: items of each user.

    Returns:
        The folder.
    """
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    items = [f"{item}\tFilm {item}\t{1980 + item}\t{GENRES[item % 4]}" for item in range(n_items)]
    rows = []
    for user in range(n_users):
        weights = np.where(np.arange(n_items) % 4 == user % 4, 6.0, 1.0)
        seen = rng.choice(n_items, size=n_seen, replace=False, p=weights / weights.sum())
        rows += [f"{user}\t{item}\t{rng.integers(2, 6)}\t{1000 + place}" for place, item in enumerate(seen)]
    header = {
        "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float",
        "item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq",
        "user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token",
    }
    users = [f"{user}\t{20 + user}\tM\twriter\t00000" for user in range(n_users)]
    for suffix, lines in (("inter", rows), ("item", items), ("user", users)):
        (folder / f"toy.{suffix}").write_text("\n".join([header[suffix], *lines]) + "\n")
    return folder
