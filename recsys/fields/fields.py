"""Fields with their vocabularies: which value of each field an entity has, as places in a table of embeddings.

A vocabulary is made of the entities of training interactions alone: a value that fewer than `least` of them have is
unknown, and so is a missing one. Place 0 of every field is the unknown. An entity has one place or, in a field of
several values (genres), one for each known value; never none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from augrec.artefacts.errors import DataError
from augrec.artefacts.names import suggestion
from augrec.artefacts.tasks import About
from recsys.augmentation import SideInformation
from recsys.fields.columns import Column, columns_of, written_columns
from recsys.fields.options import FieldOptions

if TYPE_CHECKING:
    from recsys.data.dataset import Dataset

UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class FieldValues:
    """A field: its values, and who has which.

    Attributes:
        name: `user` and `item` are the ids; others are called like their column, after whose it is: `user.age`.
        values: what each place stands for; the first is the unknown.
        start: int64 [n + 1]: entity i has the places start[i] : start[i + 1] of `places`.
        places: int64 [k], ascending within an entity.
    """

    name: str
    values: tuple[str, ...]
    start: np.ndarray
    places: np.ndarray

    @property
    def single(self) -> bool:
        """Whether everybody has one place."""
        return len(self.places) == len(self.start) - 1

    @property
    def known_share(self) -> float:
        """The share of entities with a known value."""
        known = self.places[self.start[:-1]] != 0
        return float(known.mean()) if len(known) else 0.0


@dataclass(frozen=True, eq=False)
class EntityFields:
    """The fields of users and those of items."""

    users: tuple[FieldValues, ...]
    items: tuple[FieldValues, ...]


def entity_fields(dataset: Dataset, side: SideInformation, options: FieldOptions, family: str) -> EntityFields:
    """The fields that a model reads.

    Args:
        dataset: its tables, and its training interactions.
        side: `nodes` are attributes that a source wrote; one that is called like a column holds the values of both.
        options: which fields.
        family: of the model, for messages.

    Raises:
        DataError: a field that is named is not there, or has no value that several entities share; or no field is left.
    """
    side.check(dataset.n_users, dataset.n_items)
    found: dict[About, tuple[FieldValues, ...]] = {}
    tables: dict[About, tuple[pa.Table, tuple[str, ...] | None]] = {
        "user": (dataset.users, options.users),
        "item": (dataset.items, options.items),
    }
    for about, (table, named) in tables.items():
        in_training = np.zeros(table.num_rows, dtype=np.bool_)
        in_training[dataset.train[:, int(about == "item")]] = True
        fields = _Fields(about, in_training, options, family)
        ids = (fields.ids(),) if options.ids else ()
        found[about] = (*ids, *fields.of(_columns(table, side, about), named))
    if not (found["user"] or found["item"]):
        raise DataError(
            f"the model '{family}' has no field to read: no ids, and no column that several users or items share",
            where=f"fields of '{family}'",
            remedy="set fields.ids=true, lower fields.least_share, or take data with columns",
        )
    return EntityFields(found["user"], found["item"])


def _columns(table: pa.Table, side: SideInformation, about: About) -> dict[str, Column]:
    """By name; what was written takes the place of a column of the same name, whose values it holds too."""
    own = {column.name: column for column in columns_of(table)}
    return own | {column.name: column for column in written_columns(side.nodes, about)}


@dataclass(frozen=True)
class _Fields:
    """Makes the fields of users, or those of items."""

    about: About
    in_training: np.ndarray
    options: FieldOptions
    family: str

    def ids(self) -> FieldValues:
        """Everybody who is in training is a value; the others are unknown."""
        trained = np.flatnonzero(self.in_training)
        places = np.zeros(len(self.in_training), dtype=np.int64)
        places[trained] = np.arange(1, len(trained) + 1)
        return FieldValues(self.about, (UNKNOWN, *map(str, trained)), np.arange(len(places) + 1), places)

    def of(self, columns: dict[str, Column], named: Sequence[str] | None) -> tuple[FieldValues, ...]:
        """The named columns in the order they are named in; without names, all that tell groups apart."""
        if named is None:
            fields = (self._field(column) for column in columns.values())
            return tuple(field for field in fields if field.known_share >= max(self.options.least_share, 1e-12))
        return tuple(self._named(columns, name) for name in named)

    def _named(self, columns: dict[str, Column], name: str) -> FieldValues:
        where = f"fields.{self.about}s of '{self.family}'; there are: {', '.join(columns) or 'none'}"
        if name not in columns:
            raise DataError(
                f"the model '{self.family}' reads the field '{name}', which no {self.about} has",
                where=where,
                remedy=f"{suggestion(name, list(columns))}generate it, or leave it out of `fields.{self.about}s`",
            )
        field = self._field(columns[name])
        if len(field.values) == 1:
            raise DataError(
                f"no value of the field '{name}' is shared by {self.options.least} {self.about}s of training",
                where=where,
                remedy=f"leave it out of `fields.{self.about}s`, or lower `fields.least`",
            )
        return field

    def _field(self, column: Column) -> FieldValues:
        column = bucketed(column, self.in_training, self.options.buckets)
        counted = column.codes[self.in_training[column.owners]]
        known = np.bincount(counted, minlength=len(column.values)) >= self.options.least
        place = np.where(known, np.cumsum(known), 0)
        owners, places = column.owners, place[column.codes]
        owners, places = owners[places > 0], places[places > 0]
        without = np.setdiff1d(np.arange(len(self.in_training)), owners)
        owners, places = np.concatenate([owners, without]), np.concatenate([places, np.zeros_like(without)])
        order = np.lexsort((places, owners))
        start = np.searchsorted(owners[order], np.arange(len(self.in_training) + 1))
        values = (UNKNOWN, *(value for value, kept in zip(column.values, known, strict=True) if kept))
        return FieldValues(f"{self.about}.{column.name}", values, start, places[order])


def bucketed(column: Column, in_training: np.ndarray, buckets: int) -> Column:
    """The column with ranges in place of its numbers, where those of training have more than `buckets` distinct ones.

    Ranges are cut at quantiles of the numbers of training entities; what lies beyond these belongs to the outer ranges.

    Args:
        column: as it is in the table; of categories, it comes back as it is.
        in_training: bool [n], the entities of training interactions.
        buckets: the most ranges.
    """
    if column.numbers is None:
        return column
    own = column.numbers[column.codes]
    trained = own[in_training[column.owners]]
    if len(np.unique(trained)) <= buckets:
        return column
    cuts = np.unique(np.quantile(trained, np.arange(1, buckets) / buckets))
    bounds = [f"{cut:g}" for cut in cuts]
    names = (
        f"below {bounds[0]}",
        *(f"{a} to {b}" for a, b in pairwise(bounds)),
        f"{bounds[-1]} up",
    )
    return Column(column.name, column.owners, np.searchsorted(cuts, own, side="right"), names)
