"""Dropout with cheap draws on the CPU: four numbers for each draw of 64 bits, where torch draws for every number."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 2**16
"""How finely the share is told: to 1/65,536."""


def dropout(rows: Tensor, share: float, training: bool) -> Tensor:
    """`torch.nn.functional.dropout`, from the same global generator but with other draws on the CPU.

    Args:
        rows: of any shape.
        share: of the numbers that become 0; the others are divided by what is kept.
        training: else the rows stay as they are.
    """
    if not training or not share:
        return rows
    if rows.device.type != "cpu":
        return F.dropout(rows, share)
    dropped = round(share * LEVELS)
    bits = torch.empty(-(-rows.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    drawn = bits.view(torch.int16)[: rows.numel()].view(rows.shape)
    kept = (drawn >= dropped - LEVELS // 2).to(rows.dtype)
    return rows * kept.mul_(LEVELS / (LEVELS - dropped))
