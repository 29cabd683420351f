"""The normalised-temperature cross-entropy between two views: every row is to find its own among all others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(first: Tensor, second: Tensor, temperature: float, *, cosine: bool) -> Tensor:
    """The mean, over the 2n rows of both views, of -ln softmax over the 2n - 1 other rows at the row's own other view.

    Source: Chen et al., ICML 2020 (SimCLR), with cosines; CL4SRec has inner products.

    Args:
        first, second: [n, d], a row of one belonging to the same row of the other.
        temperature: by which similarities are divided.
        cosine: whether rows are divided by their length.
    """
    with torch.autocast(first.device.type, enabled=False):
        rows = torch.cat([first, second])
        rows = rows if rows.dtype == torch.float64 else rows.float()
        rows = F.normalize(rows, dim=1) if cosine else rows
        itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
        alike = (rows @ rows.T / temperature).masked_fill(itself, -torch.inf)
        own = torch.arange(len(rows), device=rows.device).roll(len(first))
        return F.cross_entropy(alike, own)
