"""Cross-entropy with a whole distribution as the target: of each row over all candidates, both made of cosines.

The distributions have as many numbers as there are pairs of rows and candidates. Here they are one autograd node that
holds a block of rows at a time and takes the gradient in the same pass: that of a cross-entropy to its logits is the
difference of the two distributions.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from recsys.objectives.info_nce import BLOCK, guarded


def soft_target_loss(
    rows: Tensor,
    candidates: Tensor,
    target_rows: Tensor,
    target_candidates: Tensor,
    *,
    temperature: float,
    target_temperature: float,
    least_weight: float,
) -> Tensor:
    """`mean over rows k of w_k sum over z of -P_k(z) ln Q_k(z)`, a scalar; 0 where there are no rows.

    Q_k is the softmax over z of cos(a_k, z) / temperature, P_k that of the targets' cosines / target_temperature. The
    flatter P_k, the less it says: w_k is 1 - H(P_k) / ln(number of candidates), at least `least_weight`.

    Args:
        rows, candidates: a [n, d] and z [m, d], which have a gradient, once.
        target_rows, target_candidates: [n, c] and [m, c], which have none.
        temperature, target_temperature: positive.
        least_weight: in [0, 1].
    """
    if not len(rows):
        return (rows.sum() + candidates.sum()) * 0.0
    with torch.autocast(rows.device.type, enabled=False):
        own, others = (guarded(_full(part)) for part in (rows, candidates))
        targets = (guarded(_full(part)) for part in (target_rows, target_candidates))
        value: Tensor = _SoftTargets.apply(
            own / temperature, others, *(part.detach() for part in targets), target_temperature, least_weight
        )
        return value


class _SoftTargets(torch.autograd.Function):
    """See `soft_target_loss`; rows are divided by the temperature already."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        candidates: Tensor,
        target_rows: Tensor,
        target_candidates: Tensor,
        target_temperature: float,
        least_weight: float,
    ) -> Tensor:
        of_rows, of_candidates = torch.empty_like(rows), torch.zeros_like(candidates)
        total = rows.new_zeros(())
        flat = math.log(len(candidates)) or 1.0  # one candidate: its entropy is 0 whatever it is divided by
        step = max(1, BLOCK // len(candidates))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            wanted = torch.log_softmax(target_rows[part] @ target_candidates.T / target_temperature, dim=1)
            share = wanted.exp()
            weight = (1 + (share * wanted).sum(dim=1, keepdim=True) / flat).clamp(least_weight, 1.0) / len(rows)
            found = torch.log_softmax(rows[part] @ candidates.T, dim=1)
            total -= (weight * (share * found).sum(dim=1, keepdim=True)).sum()
            gradient = found.exp_().sub_(share).mul_(weight)
            torch.mm(gradient, candidates, out=of_rows[part])
            of_candidates.addmm_(gradient.T, rows[part])
        ctx.save_for_backward(of_rows, of_candidates)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        of_rows, of_candidates = ctx.saved_tensors
        return of_rows * gradient, of_candidates * gradient, None, None, None, None


def _full(rows: Tensor) -> Tensor:
    return rows if rows.dtype == torch.float64 else rows.float()
