"""The files of a prepared data set, written by whoever prepares one: from a source, or from what was published."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from augrec.artefacts.files import remove_file, write_json, write_parquet
from augrec.artefacts.interactions import DETAILS, SPLITS
from augrec.artefacts.run_folder import DatasetFolder
from augrec.artefacts.sorted_rows import order_by
from recsys.data.side_tables import genre_vocabulary
from recsys.data.splits import TEST, TRAIN

HASHED = 1 << 20
"""Interactions that are hashed at a time."""
Written = Callable[[Path], Sequence[str]]
"""Writes interactions.parquet; returns what a person should know of that, a line each."""


@dataclass(frozen=True, eq=False)
class SplitInteractions:
    """Interactions in the order of their file, and what dataset.json says of them; 21 bytes each with its time."""

    table: pa.Table
    """See `interaction_table`."""
    counts: Mapping[str, int]
    """`counts` of dataset.json."""
    sha256: str
    """See `split_sha256`."""
    rows: np.ndarray | None = None
    """`row` of each (`RawData`), where something was `written` that is read later."""

    @classmethod
    def of(cls, kept: pd.DataFrame, n_users: int, n_items: int, moved: int = 0) -> SplitInteractions:
        """Those of a frame: user, item, split as a code and, where known, `DETAILS`.

        Args:
            kept: the frame.
            n_users, n_items: who has an id, with an interaction or without.
            moved: how many interactions went to train so that everybody has one there.
        """
        arrays = (kept[name].to_numpy() for name in ("user", "item", "split"))
        counts, order = interaction_counts(kept, n_users, n_items, moved), order_of(kept)
        rows = kept["row"].to_numpy()[order] if "written" in kept else None
        return cls(interaction_table(kept, order), counts, split_sha256(*arrays), rows)


def write_dataset(
    folder: Path,
    interactions: SplitInteractions,
    items: pa.Table,
    users: pa.Table,
    about: Mapping[str, Any],
    *,
    write: Written | None = None,
) -> dict[str, Any]:
    """Writes items.parquet, users.parquet, interactions.parquet and, last, dataset.json; returns what the latter holds.

    Args:
        folder: R/dataset.
        interactions: of these users and items.
        items, users: a row for each id, in order.
        about: what dataset.json says beside counts, genres and the hash of the split.
        write: writes interactions.parquet where it holds more than the table; its lines join the `notes`.
    """
    files = DatasetFolder(folder)
    remove_file(files.about)  # a folder without it is not a data set: never old and new mixed
    notes: Sequence[str] = ()
    write_parquet(files.items, items)
    write_parquet(files.users, users)
    genres = genre_vocabulary(items)
    del items, users  # texts: held while interactions are written they would be on top of all that takes
    if write is None:
        write_parquet(files.interactions, decoded(interactions.table))
    else:
        notes = write(files.interactions)
    meta = {**about, "counts": interactions.counts, "genres": genres, "split_sha256": interactions.sha256}
    if notes:
        meta["notes"] = [*about.get("notes", ()), *notes]
    write_json(files.about, meta)
    return meta


def order_of(kept: pd.DataFrame) -> np.ndarray:
    """int64 [m]: interactions (user, item, split as a code, perhaps timestamp and place) as interactions.parquet has
    them, in order of user, split, place or time, and item."""
    users, items = kept["user"].to_numpy(), kept["item"].to_numpy()
    groups = users.astype(np.int64)
    groups *= len(SPLITS)
    groups += kept["split"].to_numpy().astype(np.int64)
    clock = next((name for name in ("place", "timestamp") if name in kept), None)
    times = np.zeros(len(kept), np.int64) if clock is None else kept[clock].to_numpy()
    if _in_order(users, items):
        return order_by(groups, times)
    by_item = np.argsort(items, kind="stable")
    return by_item[order_by(groups[by_item], times[by_item])]


def interaction_table(kept: pd.DataFrame, order: np.ndarray) -> pa.Table:
    """interactions.parquet, from columns user, item, split (as a code) and, where known, those of `DETAILS`; `order` is
    that of the rows. Columns are put in order one by one, so that no second frame is held; of the split there are codes
    into its names, a byte for each, which `decoded` turns into text."""
    columns = {name: pa.array(kept[name].take(order), pa.int32()) for name in ("user", "item")}
    for name, kind in DETAILS.items():
        if name in kept:
            columns[name] = pa.array(kept[name].take(order), kind, from_pandas=True)
    codes = pa.array(kept["split"].take(order), pa.int8())
    columns["split"] = pa.DictionaryArray.from_arrays(codes, pa.array(SPLITS))
    return pa.table(columns)


def decoded(table: pa.Table) -> pa.Table:
    """The table with text where it has codes into texts, as files have it."""
    kinds = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in table.schema]
    return table.cast(pa.schema([pa.field(*named) for named in zip(table.column_names, kinds, strict=True)]))


def interaction_counts(kept: pd.DataFrame, n_users: int, n_items: int, moved: int) -> dict[str, int]:
    """`counts` of dataset.json; `moved` interactions went to train so that everybody has one there."""
    users, items, splits = (kept[name].to_numpy() for name in ("user", "item", "split"))
    sizes, train = np.bincount(splits, minlength=len(SPLITS)), splits == TRAIN
    return {
        "users": n_users,
        "items": n_items,
        "interactions": len(kept),
        **{name: int(size) for name, size in zip(SPLITS, sizes, strict=True)},
        "users_without_train": n_users - _different(users[train]),
        "items_without_train": n_items - _different(items[train]),
        "users_with_test": _different(users[splits == TEST]),
        "moved_to_train": moved,
    }


def _different(ids: np.ndarray) -> int:
    """How many different contiguous ids there are."""
    return int(np.count_nonzero(np.bincount(ids)))


def split_sha256(users: np.ndarray, items: np.ndarray, splits: np.ndarray) -> str:
    """The sha256 of (user int32, item int32, split uint8) in little-endian bytes, sorted by (user, item)."""
    order = None if _in_order(users, items) else order_by(users, items)
    found = hashlib.sha256()
    for start in range(0, len(users), HASHED):
        part = slice(start, start + HASHED) if order is None else order[start : start + HASHED]
        triples = np.empty(len(users[part]), dtype=[("user", "<i4"), ("item", "<i4"), ("split", "u1")])
        triples["user"], triples["item"], triples["split"] = users[part], items[part], splits[part]
        found.update(triples.tobytes())
    return found.hexdigest()


def _in_order(users: np.ndarray, items: np.ndarray) -> bool:
    """Whether they are sorted by (user, item), as filters leave them."""
    steps = np.diff(users)
    return bool(((steps > 0) | ((steps == 0) & (np.diff(items) >= 0))).all())
