"""The files of a prepared data set, written by whoever prepares one: from a source, or from what was published."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from augrec.artefacts.files import remove_file, write_json, write_parquet
from augrec.artefacts.interactions import DETAILS, SPLITS
from augrec.artefacts.run_folder import DatasetFolder
from recsys.data.side_tables import genre_vocabulary
from recsys.data.splits import TEST, TRAIN, ordered

Interactions = Callable[[Path], Sequence[str]]
"""Writes interactions.parquet; returns what a person should know of that, a line each."""


def write_dataset(
    folder: Path,
    kept: pd.DataFrame,
    items: pa.Table,
    users: pa.Table,
    about: Mapping[str, Any],
    *,
    interactions: Interactions | None = None,
    moved: int = 0,
) -> dict[str, Any]:
    """Writes interactions.parquet, items.parquet, users.parquet and, last, dataset.json; returns what the latter holds.

    Args:
        folder: R/dataset.
        kept: the interactions: user, item, split as a code and, where known, `DETAILS`.
        items, users: a row for each id, in order.
        about: what dataset.json says beside counts, genres and the hash of the split.
        interactions: writes the first file where it holds more than `kept`; its lines join the `notes`.
        moved: how many interactions went to train so that everybody has one there.
    """
    files = DatasetFolder(folder)
    remove_file(files.about)  # a folder without it is not a data set: never old and new mixed
    notes: Sequence[str] = ()
    if interactions is None:
        write_parquet(files.interactions, interaction_table(kept, order_of(kept)))
    else:
        notes = interactions(files.interactions)
    write_parquet(files.items, items)
    write_parquet(files.users, users)
    meta = {
        **about,
        "counts": interaction_counts(kept, users.num_rows, items.num_rows, moved),
        "genres": genre_vocabulary(items),
        "split_sha256": split_sha256(kept["user"].to_numpy(), kept["item"].to_numpy(), kept["split"].to_numpy()),
    }
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
    steps = np.diff(users)
    if ((steps > 0) | ((steps == 0) & (np.diff(items) >= 0))).all():  # as the filters leave it
        return ordered(groups, times, items)
    by_item = np.argsort(items, kind="stable")
    return by_item[ordered(groups[by_item], times[by_item], items[by_item])]


def interaction_table(kept: pd.DataFrame, order: np.ndarray) -> pa.Table:
    """interactions.parquet, from columns user, item, split (as a code) and, where known, those of `DETAILS`; `order` is
    that of the rows. Columns are put in order one by one, so that no second frame is held."""
    columns = {name: pa.array(kept[name].take(order), pa.int32()) for name in ("user", "item")}
    for name, kind in DETAILS.items():
        if name in kept:
            columns[name] = pa.array(kept[name].take(order), kind, from_pandas=True)
    codes = pa.array(kept["split"].take(order), pa.int8())
    columns["split"] = pa.DictionaryArray.from_arrays(codes, pa.array(SPLITS)).cast(pa.string())
    return pa.table(columns)


def interaction_counts(kept: pd.DataFrame, n_users: int, n_items: int, moved: int) -> dict[str, int]:
    """`counts` of dataset.json; `moved` interactions went to train so that everybody has one there."""
    sizes = np.bincount(kept["split"], minlength=len(SPLITS))
    train = kept[kept["split"] == TRAIN]
    return {
        "users": n_users,
        "items": n_items,
        "interactions": len(kept),
        **{name: int(size) for name, size in zip(SPLITS, sizes, strict=True)},
        "users_without_train": n_users - train["user"].nunique(),
        "items_without_train": n_items - train["item"].nunique(),
        "users_with_test": kept.loc[kept["split"] == TEST, "user"].nunique(),
        "moved_to_train": moved,
    }


def split_sha256(users: np.ndarray, items: np.ndarray, splits: np.ndarray) -> str:
    """The sha256 of (user int32, item int32, split uint8) in little-endian bytes, sorted by (user, item)."""
    triples = np.empty(len(users), dtype=[("user", "<i4"), ("item", "<i4"), ("split", "u1")])
    order = np.argsort(users.astype(np.int64) * (int(items.max(initial=0)) + 1) + items, kind="stable")
    triples["user"], triples["item"], triples["split"] = users[order], items[order], splits[order]
    return hashlib.sha256(triples.tobytes()).hexdigest()
