"""From the values of attributes, as they are written, to nodes of a graph: the data's own, and those of a source.

Two values are one node when they belong to the same attribute and differ in case and white space at most.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from augrec.artefacts.records import StoredRecord, read_records
from augrec.artefacts.tasks import About
from embed.texts import answer_text, own_text
from recsys.augmentation import AttributeNodes, FeatureMatrix

OWN_COLUMNS = ("genres", "categories", "authors", "brand")
"""Columns of the table of items whose values several items may have."""


class NodeTable:
    """Nodes while they are collected."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], tuple[int, str]] = {}
        self._pairs: dict[About, set[tuple[int, int]]] = {"item": set(), "user": set()}

    def add(self, about: About, entity: int, attribute: str, values: Iterable[str]) -> None:
        """Joins a user or an item to values of an attribute."""
        for value in values:
            place, _ = self._names.setdefault((attribute, value.casefold()), (len(self._names), value))
            self._pairs[about].add((entity, place))

    def add_own(self, items: pa.Table) -> None:
        """The columns of the data set's items."""
        for name in OWN_COLUMNS:
            if name in items.column_names:
                for item, value in enumerate(items[name].to_pylist()):
                    self.add("item", item, name, _parts(value, own_text))

    def add_written(
        self, path: Path, about: About, count: int, source: np.ndarray | None = None, *, of_shown: bool = False
    ) -> None:
        """The answers to a task that gives attributes.

        Args:
            path: its `records.parquet`.
            about: whom they are about.
            count: how many of these there are.
            source: int64 [count], whose values each one gets; None for its own.
            of_shown: whether the entries of a list are also about the items that a prompt showed (its own, not those of
                the one whose values it gets).
        """
        told: dict[int, list[StoredRecord]] = {}
        columns = ["shown_history"] if of_shown else []
        for record in read_records(path, entities=count, columns=columns).answered():
            told.setdefault(record.entity, []).append(record)
        for entity, owner in enumerate(range(count) if source is None else source.tolist()):
            shown = [record.shown_history for record in told.get(entity, ())]
            for record, items in zip(told.get(owner, ()), chain(shown, repeat(())), strict=False):
                for name, value in (record.fields or {}).items():
                    self.add(about, entity, name, _parts(value, answer_text))
                    if of_shown and isinstance(value, list | tuple):
                        for item, entry in zip(items, value, strict=False):
                            self.add("item", item, name, _parts(entry, answer_text))

    def nodes(self) -> AttributeNodes | None:
        """What was collected; None where there is nothing."""
        if not self._names:
            return None
        names = tuple((attribute, value) for (attribute, _), (_, value) in self._names.items())
        items, users = (
            np.array(sorted(self._pairs[about]), dtype=np.int64).reshape(-1, 2) for about in ("item", "user")
        )
        return AttributeNodes(names, items, users)


def told_alike(path: Path, count: int) -> FeatureMatrix:
    """Who was told the same: a row for each user or item, equal where the answers are, missing where there is none.

    It is what answers are exchanged by where they were not embedded.
    """
    told: list[Any] = [[] for _ in range(count)]
    for record in read_records(path, entities=count, columns=()).answered():
        told[record.entity].append(record.fields)
    texts = [json.dumps(fields, sort_keys=True) for fields in told]
    _, group = np.unique(texts, return_inverse=True)
    return FeatureMatrix.from_dense(group[:, None], [row for row, fields in enumerate(told) if not fields])


def _parts(value: Any, as_text: Any) -> list[str]:
    """The values in a field, each of a list for itself, without those that say nothing."""
    texts = (as_text(part) for part in (value if isinstance(value, list | tuple) else [value]))
    return [text for text in texts if text is not None]
