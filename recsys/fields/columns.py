"""Columns of a table, and attributes that a source wrote, as pairs of an entity and a value.

Texts, truth values and lists of texts are categories; numbers stay numbers until they are cut into ranges. Lists of
numbers (vectors) are no values of anything and are left out, and so are ids and what is missing or blank.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from augrec.artefacts.tasks import About
from recsys.augmentation import AttributeNodes

IDS = ("user", "item", "source_id")


@dataclass(frozen=True, eq=False)
class Column:
    """Who has which value; one entity may have several.

    Attributes:
        name: of the column or attribute.
        owners: int64 [k], entities.
        codes: int64 [k], places in `values`.
        values: the distinct values as texts; of numbers, in ascending order.
        numbers: float64, the values themselves, where they are numbers; else None.
    """

    name: str
    owners: np.ndarray
    codes: np.ndarray
    values: tuple[str, ...]
    numbers: np.ndarray | None = None


def columns_of(table: pa.Table) -> Iterator[Column]:
    """The columns of a table of users or items, row i being entity i, that hold values."""
    for name in table.column_names:
        column = None if name in IDS else _column(name, table[name].combine_chunks())
        if column is not None:
            yield column


def written_columns(nodes: AttributeNodes | None, about: About) -> Iterator[Column]:
    """The attributes of users or of items, in order of their first value; each is a column of its own."""
    if nodes is None:
        return
    pairs = nodes.users if about == "user" else nodes.items
    attributes = [attribute for attribute, _ in nodes.names]
    for name in dict.fromkeys(attributes):
        of_name = np.array([attribute == name for attribute in attributes], dtype=np.bool_)
        own = pairs[of_name[pairs[:, 1]]]
        if len(own):
            values = tuple(value for _, value in nodes.names)
            used, codes = np.unique(own[:, 1], return_inverse=True)
            yield Column(name, own[:, 0], codes.astype(np.int64), tuple(values[place] for place in used))


def _column(name: str, array: pa.Array) -> Column | None:
    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        owners = pc.list_parent_indices(array).to_numpy(zero_copy_only=False).astype(np.int64)
        return _categories(name, owners, pc.list_flatten(array)) if _is_text(kind.value_type) else None
    owners = np.arange(len(array))
    if pa.types.is_boolean(kind):
        return _categories(name, owners, pc.if_else(array, "yes", "no"))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _numbers(name, pc.cast(array, pa.float64()).to_numpy(zero_copy_only=False))
    return _categories(name, owners, array) if _is_text(kind) else None


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _categories(name: str, owners: np.ndarray, texts: pa.Array) -> Column:
    trimmed = pc.utf8_trim_whitespace(texts)
    there = pc.fill_null(pc.not_equal(trimmed, ""), False)
    encoded = pc.dictionary_encode(pc.filter(trimmed, there))
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    kept = owners[there.to_numpy(zero_copy_only=False)]
    pairs = np.unique(np.stack([kept, codes], axis=1), axis=0)  # a value that is listed twice counts once
    return Column(name, pairs[:, 0], pairs[:, 1], tuple(encoded.dictionary.to_pylist()))


def _numbers(name: str, numbers: np.ndarray) -> Column:
    owners = np.flatnonzero(np.isfinite(numbers))
    distinct, codes = np.unique(numbers[owners], return_inverse=True)
    return Column(name, owners, codes.astype(np.int64), tuple(f"{number:g}" for number in distinct), distinct)
