"""The ids of a source as contiguous ids: in numeric order where all are whole numbers, else in text order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recsys.data.readers.encoded_ids import codes_and_ids

_INTEGER = r"\A-?[0-9]+\z"
LONGEST_INTEGER = 18
"""Letters of a whole number that surely fits into 64 bits."""
Names: TypeAlias = pd.arrays.ArrowStringArray
"""Ids as text that is no objects of Python, [n]: row = contiguous id."""


@dataclass(eq=False)
class SourceIds:
    """All users, or all items, that a source names; codes count them in the order of their ids.

    Attributes:
        about: "user" or "item".
        ids: text [n] by code.
        seen: bool [n], whether a code has an interaction in the source.
        kept: how many have a contiguous id, known after `keep`.
    """

    about: str
    ids: pa.Array
    seen: np.ndarray
    kept: int = 0

    @classmethod
    def of(cls, about: str, interacting: pd.Series, described: pd.Series | None) -> tuple[np.ndarray, SourceIds]:
        """int32 code of each interaction, and what the codes stand for.

        Args:
            about: "user" or "item".
            interacting: the id of each interaction.
            described: ids of a table that keep their place without an interaction; None where such are left out.
        """
        if described is None:
            codes, ids = ranked_ids(interacting)
        else:
            codes, ids = ranked_ids(pd.concat([interacting, described], ignore_index=True))
            codes = codes[: len(interacting)]
        return codes, cls(about, ids, np.bincount(codes, minlength=len(ids)) > 0)

    def keep(self, interactions: pd.DataFrame, *, everyone: bool) -> Names:
        """Puts contiguous ids, int32, in place of the codes of interactions; returns the ids of the source by these.

        Args:
            interactions: those that stay after the filters.
            everyone: whether who had no interaction before the filters has a contiguous id as well.
        """
        codes = interactions[self.about]
        stays = np.bincount(codes, minlength=len(self.seen)) > 0
        if everyone:
            stays |= ~self.seen
        contiguous = np.cumsum(stays, dtype=np.int32) - 1
        interactions[self.about] = contiguous[codes.to_numpy()].astype(np.int32, copy=False)
        places = np.flatnonzero(stays)
        self.kept = len(places)
        chosen = self.ids if len(places) == len(self.ids) else self.ids.take(pa.array(places))
        return pd.StringDtype(na_value=np.nan).__from_arrow__(chosen)

    def absent(self, described: pd.Series) -> int:
        """How many ids of the source, from its interactions or its table, have no contiguous id."""
        if not len(described):  # of millions of users, the next lines hold all ids twice more
            return len(self.ids) - self.kept
        ids = pa.chunked_array([pa.array(described.astype("str"), pa.large_string()), self.ids])
        return len(ids.unique()) - self.kept


def ranked_ids(column: pd.Series) -> tuple[np.ndarray, pa.Array]:
    """int32 code of each row, and the distinct ids (text [n]) the codes index, in the order of the ids."""
    codes, distinct = codes_and_ids(column)
    order = _order_of_ids(distinct)
    rank = np.empty(len(distinct), dtype=np.int32)
    rank[order] = np.arange(len(distinct), dtype=np.int32)
    return rank[codes], distinct.take(pa.array(order))


def _order_of_ids(ids: pa.Array) -> np.ndarray:
    """int64 [n]: by number where all are whole numbers, then by letters."""
    numeric = pc.all(pc.match_substring_regex(ids, _INTEGER)).as_py()
    longest = pc.max(pc.binary_length(ids)).as_py() or 0
    columns = {"name": ids}
    if numeric and longest > LONGEST_INTEGER:
        names = ids.to_pylist()
        return np.array(sorted(range(len(names)), key=lambda place: (int(names[place]), names[place])), np.int64)
    if numeric:
        columns = {"number": ids.cast(pa.int64()), **columns}
    keys = [(name, "ascending") for name in columns]
    return pc.sort_indices(pa.table(columns), sort_keys=keys).to_numpy().astype(np.int64)
