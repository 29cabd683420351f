"""The users most like each user, `base/neighbours.parquet`: columns user, rank (0 = nearest), neighbour, similarity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from augrec.artefacts.checked_tables import read_columns, read_ids, refuse_repeated, refuse_rows
from augrec.artefacts.files import write_parquet

COLUMNS = ("user", "rank", "neighbour", "similarity")


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

    def of(self, user: int) -> np.ndarray:
        """int64, the neighbours of one user, the nearest first; empty for one without any."""
        return self.users[self.starts[user] : self.starts[user + 1]]


def write_neighbours(path: Path, neighbours: Neighbours) -> None:
    """Writes the neighbours of every user, atomically."""
    lengths = np.diff(neighbours.starts)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    ranks = np.arange(len(owner)) - np.repeat(neighbours.starts[:-1], lengths)
    ids = (pa.array(column.astype(np.int32)) for column in (owner, ranks, neighbours.users))
    columns = (*ids, pa.array(neighbours.similarity.astype(np.float32)))
    write_parquet(path, pa.table(dict(zip(COLUMNS, columns, strict=True))))


def read_neighbours(path: Path, n_users: int, *, remedy: str) -> Neighbours:
    """Reads and checks the neighbours of every user.

    Args:
        path: the file.
        n_users: the number of contiguous ids.
        remedy: what to do about a file that is wrong.

    Raises:
        DataError: the file is missing or damaged, lacks a column, names an unknown user, or somebody twice or as a
            neighbour of their own.
    """
    table = read_columns(path, COLUMNS, remedy=remedy)
    owner, users = (read_ids(table, name, n_users, path, remedy=remedy) for name in ("user", "neighbour"))
    refuse_rows(owner == users, "a user is a neighbour of their own", path, remedy)
    refuse_repeated(owner * n_users + users, "somebody is a neighbour of the same user twice", path, remedy)
    order = np.lexsort((table["rank"].to_numpy(), owner))
    starts = np.searchsorted(owner[order], np.arange(n_users + 1))
    return Neighbours(starts, users[order], table["similarity"].to_numpy().astype(np.float32)[order])
