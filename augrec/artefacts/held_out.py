"""Predictions for training interactions by models that have not seen them, `base/held_out.parquet`.

Columns: user, item, fold (int32), drawn (bool), rating (float32 or null), score (float32). A row that is not drawn is a
training interaction that the fold's model was trained without; one that is drawn is an item of the same user without an
interaction in training. Scores of one user compare within a fold, which one model made.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa

from augrec.artefacts.checked_tables import read_columns, read_ids, refuse_repeated, refuse_rows
from augrec.artefacts.files import write_parquet

TYPES = {
    "user": pa.int32(),
    "item": pa.int32(),
    "fold": pa.int32(),
    "drawn": pa.bool_(),
    "rating": pa.float32(),
    "score": pa.float32(),
}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The rows, sorted by user, fold, whether they were drawn, and item.

    Attributes:
        user, item, fold: int64 [m].
        drawn: bool [m], False for training interactions that the fold's model was trained without.
        rating: float32 [m], of those that have one; else NaN.
        score: float32 [m], by the model that was trained without the fold.
    """

    user: np.ndarray
    item: np.ndarray
    fold: np.ndarray
    drawn: np.ndarray
    rating: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.user)

    def rows(self, chosen: np.ndarray) -> HeldOut:
        """Some of the rows, by a mask or by places that keep their order."""
        return HeldOut(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def of(self, user: int) -> HeldOut:
        """The rows of one user."""
        return self.rows(np.arange(*np.searchsorted(self.user, [user, user + 1])))

    @classmethod
    def joined(cls, parts: list[HeldOut]) -> HeldOut:
        """The rows of several, in their order."""
        columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(cls)}
        whole = cls(**{name: np.concatenate(column) for name, column in columns.items()})
        return whole.rows(np.lexsort((whole.item, whole.drawn, whole.fold, whole.user)))


def write_held_out(path: Path, rows: HeldOut) -> None:
    """Writes the rows, atomically."""
    columns = {name: pa.array(getattr(rows, name), kind, from_pandas=True) for name, kind in TYPES.items()}
    write_parquet(path, pa.table(columns))


def read_held_out(path: Path, n_users: int, n_items: int, *, remedy: str) -> HeldOut:
    """Reads and checks the rows.

    Args:
        path: the file.
        n_users, n_items: counts of contiguous ids.
        remedy: what to do about a file that is wrong.

    Raises:
        DataError: the file is missing or damaged, lacks a column, names an unknown id or a pair twice in a fold, or a
            score is no number.
    """
    table = read_columns(path, tuple(TYPES), remedy=remedy)
    user = read_ids(table, "user", n_users, path, remedy=remedy)
    item = read_ids(table, "item", n_items, path, remedy=remedy)
    fold = table["fold"].to_numpy().astype(np.int64)
    rating, score = (table[name].to_numpy().astype(np.float32) for name in ("rating", "score"))
    refuse_rows(~np.isfinite(score), "a score is no number", path, remedy)
    refuse_repeated((fold * n_users + user) * n_items + item, "a fold scores a user and an item twice", path, remedy)
    drawn = table["drawn"].to_numpy(zero_copy_only=False).astype(bool)
    return HeldOut.joined([HeldOut(user, item, fold, drawn, rating, score)])
