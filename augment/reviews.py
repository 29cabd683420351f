"""What users wrote about items in the training split: the only reviews that a prompt can show.

Reviews of other splits are dropped while the file is read. They are read when the first is asked for, and stay in
Arrow's memory, so that a data set whose tasks show none costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augrec.artefacts.interactions import UserItems, read_detail, read_interactions
from augrec.artefacts.sorted_rows import order_by


@dataclass(frozen=True, eq=False)
class _Written:
    """The reviews there are, sorted by (user, item)."""

    keys: np.ndarray
    """int64 [m], user * n_items + item."""
    texts: pa.Array
    """[m]."""


class Reviews:
    """The reviews of training interactions.

    Args:
        path: `interactions.parquet`; None for data that have none.
        n_users, n_items: the sizes.
    """

    def __init__(self, path: Path | None, n_users: int, n_items: int) -> None:
        self._path, self._n_users, self._n_items = path, n_users, n_items

    @property
    def exist(self) -> bool:
        """Whether anybody wrote one."""
        return len(self._written.keys) > 0

    def authors(self, item: int) -> list[int]:
        """The users who wrote about an item, in order of their ids."""
        return [int(user) for user in self._by_item.of(item)]

    def text(self, user: int, item: int) -> str | None:
        """What a user wrote about an item, as the data hold it; None where they wrote nothing."""
        keys, key = self._written.keys, user * self._n_items + item
        row = int(np.searchsorted(keys, key))
        return str(self._written.texts[row].as_py()) if row < len(keys) and keys[row] == key else None

    @cached_property
    def _written(self) -> _Written:
        nobody = _Written(np.empty(0, np.int64), pa.array([], pa.large_string()))
        if self._path is None:
            return nobody
        pairs = read_interactions(self._path, self._n_users, self._n_items, splits=("train",)).pairs
        texts = read_detail(self._path, "review", "train", pairs)
        if texts is None:
            return nobody
        said = pc.not_equal(pc.utf8_trim_whitespace(pc.fill_null(texts, "")), "")
        rows = np.flatnonzero(said.to_numpy(zero_copy_only=False))
        return _Written(pairs[rows, 0] * self._n_items + pairs[rows, 1], texts.filter(said))

    @cached_property
    def _by_item(self) -> UserItems:
        """The authors of every item: users in the place of items."""
        users, items = np.divmod(self._written.keys, self._n_items)
        order = order_by(items, users)
        return UserItems.build(items[order], users[order], self._n_items)
