"""The BPR loss, and penalties on the embeddings of a batch or on all parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from recsys.batches.triplets import Triplets
from recsys.gather import lookup


def bpr(user: Tensor, positive: Tensor, negative: Tensor, weight: Tensor | None = None) -> Tensor:
    """`-mean ln sigmoid(u.p - u.n)`, a weighted mean if `weight` is given. Scalar.

    Source: Rendle et al., UAI 2009 (BPR-Opt without its regulariser).

    Args:
        user, positive, negative: embeddings [b, d].
        weight: [b], non-negative; its scale does not matter.
    """
    losses = F.softplus(-(user * (positive - negative)).sum(dim=1))
    return losses.mean() if weight is None else (weight * losses).sum() / weight.sum().clamp_min(1e-12)


def batch_l2(
    users: Tensor, items: Tensor, batch: Triplets, kind: Literal["squared", "norm"] = "squared"
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The batch's rows of two tables, and the penalty on them.

    Args:
        users, items: tables [n_users, d] and [n_items, d].
        batch: which rows; one that occurs twice counts twice.
        kind: `squared` is LightGCN's code, (|U|^2 + |P|^2 + |N|^2) / 2b; `norm` is (|U| + |P| + |N|) / b, unsquared.

    Returns:
        Rows of users, positives and negatives, each [b, d], and the scalar penalty.
    """
    rows = lookup(users, batch.user), lookup(items, batch.positive), lookup(items, batch.negative)
    return *rows, rows_l2(rows, kind)


def rows_l2(rows: Sequence[Tensor], kind: Literal["squared", "norm"]) -> Tensor:
    """The penalty of `batch_l2` on rows of a batch, [b, d] each. Scalar."""
    parts = [_HalfSquares.apply(part) if kind == "squared" else part.norm() for part in rows]
    return torch.stack(parts).sum() / len(rows[0])


class _HalfSquares(torch.autograd.Function):
    """Half the sum of the squares of a matrix, with the bits of autograd's gradient in one pass, not in three."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return rows.square().sum() / 2

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:  # type: ignore[override]
        (rows,) = ctx.saved_tensors
        return rows * slope


def parameter_l2(parameters: Iterable[Tensor]) -> Tensor:
    """The squares of every entry of all parameters, summed. Scalar."""
    return torch.stack([parameter.square().sum() for parameter in parameters]).sum()
