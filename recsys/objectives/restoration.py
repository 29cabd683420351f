"""Masked-feature restoration: hide the features of some rows, and ask a decoder for them after propagation.

Source: LLMRec (Wei et al., WSDM 2024), equations 8 and 9, after GraphMAE (Hou et al., KDD 2022). The reference
implementation overwrites its stored features a little more in every pass, also in evaluation, never trains its decoder
and cuts the gradient. Here rows are drawn anew in each step, nothing stored changes, and everything learns.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def hidden_rows(present: Tensor, rate: float) -> Tensor:
    """int64, int(rate * len(present)) different entries of `present` (at least one where there are any).

    Drawn from torch's global generator of the device, like dropout, which a training seeds and its snapshots keep.
    """
    count = min(max(int(rate * len(present)), 1), len(present))
    return present[torch.randperm(len(present), device=present.device)[:count]]


def restoration_loss(
    decoded: Tensor, wanted: Tensor, kind: Literal["sce", "mse"] = "sce", alpha: float = 2.0
) -> Tensor:
    """How far decoded rows are from the hidden features; 0 when they point the same way. Scalar.

    Args:
        decoded, wanted: [m, d].
        kind: `sce` is GraphMAE's scaled cosine error, mean over rows of (1 - cos)^alpha; `mse` is the mean squared
            difference of the normalised vectors and has no alpha.
        alpha: 1 or more; larger ones pay less attention to rows that are nearly right.
    """
    if not len(wanted):
        return decoded.sum()  # zero, with a gradient of zero
    decoded, wanted = F.normalize(decoded.float(), dim=1), F.normalize(wanted.float(), dim=1)
    if kind == "mse":
        return F.mse_loss(decoded, wanted)
    return (1 - (decoded * wanted).sum(1)).clamp_min(0).pow(alpha).mean()
