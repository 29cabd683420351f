"""Embeddings of the fields of pairs of a user and an item.

All values of all fields are rows of one table. A field in which everybody has one value is a look-up; in the others the
embeddings of an entity's values are pooled. The fields stand in this order: those of users and of items with one value,
then those of users and of items with several.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.fields.fields import EntityFields, FieldValues
from recsys.gather import lookup


class FieldRows(NamedTuple):
    """The rows of the table that pairs read.

    Attributes:
        single: int64 [b, s], of the fields with one value.
        several: int64 [t], of the others, one bag after the other; a pair's `bags` bags lie together.
        starts: int64 [b * bags], where each bag begins.
        bags: fields with several values.
    """

    single: Tensor
    several: Tensor
    starts: Tensor
    bags: int


class FieldIndex(nn.Module):
    """Which rows of the table a pair reads. Its buffers are no part of `state_dict`.

    Args:
        fields: of users and items.

    Attributes:
        names: of the fields, in their order.
        unknown: int64 [fields], the row of each field's unknown.
        rows: how many the table has.
    """

    user_single: Tensor
    item_single: Tensor
    values: Tensor
    user_starts: Tensor
    item_starts: Tensor
    user_counts: Tensor
    item_counts: Tensor

    def __init__(self, fields: EntityFields) -> None:
        super().__init__()
        sides = (fields.users, fields.items)
        single = [[field for field in side if field.single] for side in sides]
        several = [[field for field in side if not field.single] for side in sides]
        ordered = [field for group in (*single, *several) for field in group]
        sizes = np.array([len(field.values) for field in ordered])
        first = np.cumsum(sizes) - sizes
        offset = {field.name: int(row) for field, row in zip(ordered, first, strict=True)}
        self.names = tuple(offset)
        self.unknown, self.rows = first.astype(np.int64), int(sizes.sum())
        values: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
        for side, own, bags in zip(("user", "item"), single, several, strict=True):
            n = len((*own, *bags)[0].start) - 1 if own or bags else 0
            looked_up = [field.places + offset[field.name] for field in own]
            self._keep(f"{side}_single", _columns(looked_up, n))
            before = np.cumsum([0, *(len(part) for part in values)])[-1]
            places = [before + part for part in _begins(bags)]
            values += [field.places + offset[field.name] for field in bags]
            self._keep(f"{side}_starts", _columns(places, n))
            self._keep(f"{side}_counts", _columns([np.diff(field.start) for field in bags], n))
        self._keep("values", np.concatenate(values))

    def _keep(self, name: str, array: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)), persistent=False)

    def forward(self, pairs: Tensor) -> FieldRows:
        """The rows of pairs int64 [b, 2] of user and item."""
        user, item = pairs.unbind(1)
        single = _beside(self.user_single, self.item_single, user, item)
        begins = _beside(self.user_starts, self.item_starts, user, item)
        bags = begins.shape[1]
        if not bags:
            return FieldRows(single, self.values, self.values, 0)
        counts = _beside(self.user_counts, self.item_counts, user, item).reshape(-1)
        ends = counts.cumsum(0)
        starts = ends - counts
        shift = torch.repeat_interleave(begins.reshape(-1) - starts, counts)
        return FieldRows(single, self.values[shift + torch.arange(len(shift), device=shift.device)], starts, bags)


class FieldTable(nn.Module):
    """Embeddings of all values of all fields; those of the unknown start at zero, and so say nothing until they learn.

    Args:
        index: which rows there are.
        dim: length of an embedding.
        pooling: of several values of one field.
        std: standard deviation of the normal initial embeddings.
        generator: draws them.
    """

    def __init__(
        self, index: FieldIndex, dim: int, pooling: Literal["mean", "sum"], std: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.pooling = pooling
        table = torch.empty(index.rows, dim).normal_(0, std, generator=generator)
        table[torch.from_numpy(index.unknown)] = 0
        self.weight = nn.Parameter(table)

    def forward(self, rows: FieldRows) -> Tensor:
        """The embeddings of each pair's fields, [b, fields, dim]."""
        single = lookup(self.weight, rows.single)
        if not rows.bags:
            return single
        pooled = F.embedding_bag(rows.several, self.weight, rows.starts, mode=self.pooling)
        return torch.cat([single, pooled.view(len(single), rows.bags, self.weight.shape[1])], dim=1)


def _columns(parts: list[np.ndarray], rows: int) -> np.ndarray:
    """Arrays of one length as columns; [rows, 0] where there are none."""
    return np.stack(parts, axis=1) if parts else np.zeros((rows, 0), dtype=np.int64)


def _begins(bags: list[FieldValues]) -> list[np.ndarray]:
    """Where each entity's values begin when all places of these fields stand in one row."""
    lengths = np.cumsum([0, *(len(field.places) for field in bags)])
    return [field.start[:-1] + begin for field, begin in zip(bags, lengths, strict=False)]


def _beside(users: Tensor, items: Tensor, user: Tensor, item: Tensor) -> Tensor:
    """Rows of users beside rows of items, [b, columns of both]; a side without columns may have no rows."""
    parts = [table[ids] for table, ids in ((users, user), (items, item)) if table.shape[1]]
    return torch.cat(parts, dim=1) if parts else user.new_zeros(len(user), 0)
