"""Users and items that were not there when a model was trained, and interactions that came later, beside a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from augrec.artefacts.interactions import DETAILS, SPLITS
from augrec.artefacts.sorted_rows import order_by
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.data.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Newcomers:
    """What joins a data set.

    Attributes:
        users: what the source calls the new users; their ids follow those of the data set.
        items: the rows of new items, with `source_id` and any columns of `Dataset.items`; their ids follow, too.
        pairs: int64 [m, 2] of (user, item) ids in the joined data, in order of time: what new users did, and what known
            ones did after all that the data set holds. Each of them counts as training.
        vectors: of the new items, by the name of the feature: float32 [n, d] and bool [n], which of them are known.
    """

    users: Sequence[str] = ()
    items: pa.Table = field(default_factory=lambda: pa.table({"source_id": pa.array([], pa.string())}))
    pairs: np.ndarray = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    vectors: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def join(self, dataset: Dataset) -> Dataset:
        """The data with the newcomers in it; an interaction that it has already moves to training, or stays there."""
        n_users, n_items = dataset.n_users + len(self.users), dataset.n_items + self.items.num_rows
        keys = _keys(self.pairs, n_items)
        _, first = np.unique(keys, return_index=True)
        first = np.sort(first)
        later = self.pairs[first[~np.isin(keys[first], _keys(dataset.train, n_items))]]
        train = np.concatenate([dataset.train, later])
        order = order_by(*train.T)
        splits, known = {"train": train[order]}, {}
        clocks = {"timestamp": dataset.timestamps, "place": dataset.places}
        for column, clock in clocks.items():
            times = clock("train")
            if times is not None:
                ends = [int(of.max(initial=0)) for name in SPLITS if (of := clock(name)) is not None]
                times = np.concatenate([times, max(ends) + 1 + np.arange(len(later))])
                known[column, "train"] = pa.array(times[order], DETAILS[column])
        for name in ("valid", "test"):
            held_out = dataset.pairs(name)
            kept = ~np.isin(_keys(held_out, n_items), _keys(later, n_items))
            splits[name] = held_out[kept]
            for column, clock in clocks.items():
                times = clock(name)
                if times is not None:
                    known[column, name] = pa.array(times[kept], DETAILS[column])
        return replace(
            dataset,
            n_users=n_users,
            n_items=n_items,
            **splits,
            items=_followed(dataset.items, "item", self.items),
            users=_followed(dataset.users, "user", pa.table({"source_id": pa.array(self.users, pa.string())})),
            folder=None,
            known=known,
        )

    def side(self, side: SideInformation) -> SideInformation:
        """What a model may know beside interactions, with rows for the newcomers: missing, where nothing is known."""
        n_users, n_items = len(self.users), self.items.num_rows
        items = {name: matrix.followed_by(n_items, *self.vectors.get(name, ())) for name, matrix in side.item.items()}
        return replace(
            side,
            user=_padded(side.user, n_users),
            item=items,
            attributes=_padded(side.attributes, n_items),
        )


def _keys(pairs: np.ndarray, n_items: int) -> np.ndarray:
    return pairs @ np.array([n_items, 1])


def _padded(features: Mapping[str, FeatureMatrix], count: int) -> dict[str, FeatureMatrix]:
    return {name: matrix.followed_by(count) for name, matrix in features.items()}


def _followed(table: pa.Table, about: str, rows: pa.Table) -> pa.Table:
    """A side table with more rows behind it; columns that these lack are null, and those that it lacks are left out."""
    ids = pa.array(np.arange(table.num_rows, table.num_rows + rows.num_rows), pa.int32())
    columns = {about: ids, **{name: rows[name] for name in rows.column_names if name in table.column_names}}
    fields = {name: values.cast(table.schema.field(name).type) for name, values in columns.items()}
    return pa.concat_tables([table, pa.table(fields)], promote_options="default")
