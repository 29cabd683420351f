"""Ids as the data's own source gives them: what is stored and what a key is made of.

Contiguous ids belong to one preparation of a data set: one item more, or another threshold, and all of them shift.
Records outlive that, so a shard holds source ids, and they are translated when records are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import DataError
from augrec.artefacts.run_folder import DatasetFolder, RunFolder
from augrec.artefacts.tasks import About, Kind


class UnknownItem(LookupError):
    """A field names an item that is not there; `args` are the field's name and the item."""


class SourceIds:
    """Between the contiguous ids of a data set and its source's.

    Args:
        users, items: the source's ids, row = contiguous id.

    Raises:
        DataError: a source id is there twice, so that records could not be told apart.
    """

    def __init__(self, users: Sequence[str], items: Sequence[str]) -> None:
        self._ids: dict[About, Sequence[str]] = {"user": users, "item": items}
        self._places: dict[About, dict[str, int]] = {}

    def of(self, about: About, number: int) -> str:
        """The source's id of a contiguous one."""
        return self._ids[about][number]

    def several(self, about: About, numbers: Sequence[int]) -> tuple[str, ...]:
        """The source's ids of several users or items."""
        ids = self._ids[about]
        return tuple(ids[number] for number in numbers)

    def items(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """The source's ids of several items."""
        return self.several("item", numbers)

    def find(self, about: About, source_id: str) -> int | None:
        """The contiguous id; None for one that the data set does not have."""
        if about not in self._places:
            ids = self._ids[about]
            places = {source_id: number for number, source_id in enumerate(ids)}
            if len(places) < len(ids):
                twice = next(source_id for number, source_id in enumerate(ids) if places[source_id] != number)
                raise DataError(
                    f"the {about} {twice!r} is there twice",
                    where=DatasetFolder(RunFolder(Path()).dataset).side_table(about),
                    remedy="run the prepare stage again",
                )
            self._places[about] = places
        return self._places[about].get(source_id)


class Positions(SourceIds):
    """Of data that came without a source: every id is its own position."""

    def __init__(self) -> None:
        super().__init__((), ())

    def of(self, about: About, number: int) -> str:
        """See SourceIds."""
        return str(number)

    def several(self, about: About, numbers: Sequence[int]) -> tuple[str, ...]:
        """See SourceIds."""
        return tuple(str(number) for number in numbers)

    def find(self, about: About, source_id: str) -> int | None:
        """See SourceIds."""
        return int(source_id)


POSITIONS = Positions()


def reviewed(about: About) -> About:
    """Whom the ids in `shown_reviews` of a record are of: users where it is about an item, items where about a user."""
    return "user" if about == "item" else "item"


def translated(gives: Kind, fields: dict[str, Any], item: Callable[[Any], Any]) -> dict[str, Any]:
    """A record's fields with other ids for the items in them.

    Items of a list and scores of items that are not there are left out; a choice itself cannot be.

    Args:
        gives: what the record's task gives; says which fields hold items.
        fields: the record's fields.
        item: the other id of an item; None where there is none.

    Raises:
        UnknownItem: a field's only item is not there.
        ValueError: a field is missing or no list, or scores are no pairs of an item and a number.
    """
    changed = dict(fields)
    for name in gives.items:
        if name not in fields:
            raise ValueError(f"missing_field: {name}")
        there = item(fields[name])
        if there is None:
            raise UnknownItem(name, fields[name])
        changed[name] = there
    for name in gives.lists:
        if not isinstance(fields.get(name), list):
            raise ValueError(f"missing_field: {name}")
        changed[name] = [there for there in map(item, fields[name]) if there is not None]
    scores = gives.scores
    if scores in fields:
        try:
            pairs = [(item(number), float(value)) for number, value in fields[scores]]
        except (TypeError, ValueError):
            raise ValueError(f"malformed_scores: {str(fields[scores])[:80]}") from None
        changed[scores] = [[number, value] for number, value in pairs if number is not None]
    return changed
