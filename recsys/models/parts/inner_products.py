"""Inner products of rows with a few rows each of a table."""

from __future__ import annotations

import torch
from torch import Tensor

from recsys.gather import lookup


def inner_products(rows: Tensor, table: Tensor, ids: Tensor) -> Tensor:
    """[b, k]: of each row [b, d] with those of a table [n, d] that `ids` (int64 [b, k]) name.

    All of the table is multiplied where that is less than looking up k rows for each.
    """
    if len(table) <= ids.shape[1] * table.shape[1]:
        return (rows @ table.T).gather(1, ids)
    return torch.einsum("bd,bkd->bk", rows, lookup(table, ids))
