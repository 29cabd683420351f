"""The users most like each user, `base/neighbours.parquet`.

Columns: fold (-1: by a model that was trained on everything), user, rank (0 = nearest), neighbour (int32), similarity
(float32). Who is told of an interaction that a fold holds out is told of that fold's neighbours: those of a model that
has seen the interaction would be the users who share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from augrec.artefacts.checked_tables import read_columns, read_ids, refuse_repeated, refuse_rows
from augrec.artefacts.files import write_parquet
from augrec.artefacts.sorted_rows import order_by

COLUMNS = ("fold", "user", "rank", "neighbour", "similarity")
WHOLE = -1
"""The fold of what was trained on everything."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The neighbours of every user, one user after the other: those of user u are at starts[u] : starts[u + 1].

    Attributes:
        starts: int64 [n_users + 1].
        users: int64 [m], nearest first within a user; nobody is a neighbour of their own.
        similarity: float32 [m].
    """

    starts: np.ndarray
    users: np.ndarray
    similarity: np.ndarray

    @classmethod
    def nobody(cls, n_users: int) -> Neighbours:
        """Users without any neighbour."""
        none = np.empty(0, dtype=np.int64)
        return cls(np.zeros(n_users + 1, dtype=np.int64), none, none.astype(np.float32))

    def of(self, user: int) -> np.ndarray:
        """int64, the neighbours of one user, the nearest first; empty for one without any."""
        return self.users[self.starts[user] : self.starts[user + 1]]


def write_neighbours(path: Path, folds: Mapping[int, Neighbours]) -> None:
    """Writes the neighbours of every user by fold, atomically."""
    parts = [_table(fold, neighbours) for fold, neighbours in folds.items()]
    write_parquet(path, pa.concat_tables(parts).combine_chunks())


def _table(fold: int, neighbours: Neighbours) -> pa.Table:
    lengths = np.diff(neighbours.starts)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    ranks = np.arange(len(owner)) - np.repeat(neighbours.starts[:-1], lengths)
    columns = (np.full(len(owner), fold), owner, ranks, neighbours.users)
    ids = (pa.array(column.astype(np.int32)) for column in columns)
    return pa.table(dict(zip(COLUMNS, (*ids, pa.array(neighbours.similarity.astype(np.float32))), strict=True)))


def read_neighbours(path: Path, n_users: int, fold: int = WHOLE, *, remedy: str) -> Neighbours:
    """Reads and checks the neighbours of every user.

    Args:
        path: the file.
        n_users: the number of contiguous ids.
        fold: whose model says who is similar.
        remedy: what to do about a file that is wrong.

    Raises:
        DataError: the file is missing or damaged, lacks a column, names an unknown user, or somebody twice or as a
            neighbour of their own.
    """
    table = read_columns(path, COLUMNS, remedy=remedy)
    owner, users = (read_ids(table, name, n_users, path, remedy=remedy) for name in ("user", "neighbour"))
    folds = table["fold"].to_numpy().astype(np.int64)
    keys = ((folds - folds.min(initial=0)) * n_users + owner) * n_users + users
    refuse_rows(owner == users, "a user is a neighbour of their own", path, remedy)
    refuse_repeated(keys, "somebody is a neighbour of the same user twice", path, remedy)
    order = order_by(owner, table["rank"].to_numpy())
    order = order[folds[order] == fold]
    starts = np.searchsorted(owner[order], np.arange(n_users + 1))
    return Neighbours(starts, users[order], table["similarity"].to_numpy().astype(np.float32)[order])
