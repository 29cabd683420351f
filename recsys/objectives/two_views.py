"""A contrastive loss between two views of the same rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

BLOCK = 2**24  # similarities in memory at a time


def two_views(anchor: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Each row's view in `other` is told apart from all other rows of both views. Scalar, the mean over rows i of
    `-ln( exp(s(a_i, o_i)) / (sum over j of exp(s(a_i, o_j)) + sum over j != i of exp(s(a_i, a_j))) )`, s the cosine
    over the temperature.

    Source: GRACE (Zhu et al., 2020), of which MICRO and MMSSL take one direction. Quadratic in the rows; memory is
    bounded, blocks being computed again for the backward where there are several.

    Args:
        anchor, other: [n, d]; no row gives 0.
        temperature: positive.
    """
    if not len(anchor):
        return (anchor.sum() + other.sum()) * 0.0
    with torch.autocast(anchor.device.type, enabled=False):
        anchor, other = (F.normalize(view if view.dtype == torch.float64 else view.float()) for view in (anchor, other))
        rows = torch.arange(len(anchor), device=anchor.device)
        blocks = rows.split(max(1, BLOCK // len(anchor)))
        if len(blocks) == 1:
            return _losses(anchor, other, rows, temperature).mean()
        losses = [checkpoint(_losses, anchor, other, block, temperature, use_reentrant=False) for block in blocks]
        return torch.cat(losses).mean()


def _losses(anchor: Tensor, other: Tensor, rows: Tensor, temperature: float) -> Tensor:
    own = anchor[rows[0] : rows[-1] + 1]
    across = own @ other.T / temperature
    within = (own @ anchor.T / temperature).index_put((rows - rows[0], rows), own.new_tensor(-torch.inf))
    right = (own * other[rows[0] : rows[-1] + 1]).sum(1) / temperature
    return torch.logaddexp(across.logsumexp(1), within.logsumexp(1)) - right
