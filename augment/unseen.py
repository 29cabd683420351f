"""Items that a user has no training interaction with, drawn: what a question may be about that nobody ranked before."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from augrec.artefacts.hashed_numbers import hashed_names, mixed

if TYPE_CHECKING:
    from augment.catalog import Catalog


class UnseenItems:
    """Draws uniformly from the items without an interaction in training, validation and test items among them.

    Leaving out what is held out would tell of it. A draw follows from the seed and the source's ids, so that an item or
    a user more changes as few as can be.

    Args:
        catalog: the items, and what users have.
        stream: tells draws apart; holds the run's seed and what is drawn.
    """

    def __init__(self, catalog: Catalog, stream: str) -> None:
        self._catalog, self._salt = catalog, hashlib.sha256(stream.encode()).digest()[:16]
        self._items: np.ndarray | None = None

    def draw(self, user: int, count: int) -> list[int]:
        """At most `count` distinct items, in the order of their draws."""
        if self._items is None:
            self._items = hashed_names(self._catalog.source_ids("item"), self._salt)
        own = hashed_names([self._catalog.source_ids("user")[user]], self._salt + b"user")
        keys = mixed(self._items ^ mixed(own))
        unseen = np.ones(len(keys), dtype=np.bool_)
        unseen[self._catalog.train_items(user)] = False
        places = np.flatnonzero(unseen)
        if len(places) > count:
            places = places[np.argpartition(keys[places], count)[:count]]
        return places[np.argsort(keys[places], kind="stable")].tolist()
