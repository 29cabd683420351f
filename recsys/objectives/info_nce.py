"""InfoNCE: each row is told apart from candidates, of which one is its own other view.

Source: van den Oord et al., 2018; the form with all rows of a view as candidates is SGL's (Wu et al., SIGIR 2021).
The sum over candidates is quadratic. Here it is one autograd node that holds a block of similarities at a time and
takes the gradient in the same pass: the derivative of a log-sum-exp needs the very exponentials that make it, so a
backward pass of its own would compute or keep them a second time.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

BLOCK = 2**19  # similarities at a time: 2 MiB of float32, which stay in a core's cache
GPU_BLOCK = 2**26  # 256 MiB: fewer and larger kernels
UNSHIFTED = 40.0  # inner products up to this size have exponentials that float32 holds and can sum as they are
LN2 = math.log(2.0)
GUARD = 1e-8  # added to squared lengths: a row of zeros has cosine 0 with everything, and a gradient


def info_nce(
    anchor: Tensor,
    positive: Tensor,
    candidates: Tensor,
    temperature: float,
    *,
    weight: Tensor | None = None,
    multiplicity: Tensor | None = None,
) -> Tensor:
    """`sum over k of w_k ( -cos(a_k, p_k) / t + ln sum over z of c_z exp(cos(a_k, z) / t) )`. Scalar, a sum.

    Args:
        anchor, positive: a and p, [n, d]; no row gives 0.
        candidates: [m, d], which a row's positive should be among.
        temperature: t, positive.
        weight: w, [n], how often an anchor counts; 1 where it is None.
        multiplicity: c, [m], positive, how often a candidate counts; 1 where it is None.
    """
    if not len(anchor):
        return (anchor.sum() + positive.sum() + candidates.sum()) * 0.0
    with torch.autocast(anchor.device.type, enabled=False):
        anchor, positive, candidates = (guarded(_full(rows)) for rows in (anchor, positive, candidates))
        right = (anchor * positive).sum(1) / temperature
        right = right.sum() if weight is None else (weight * right).sum()
        return log_sums(anchor / temperature, candidates, weight=weight, multiplicity=multiplicity) - right


def log_sums(
    left: Tensor, right: Tensor, *, weight: Tensor | None = None, multiplicity: Tensor | None = None
) -> Tensor:
    """`sum over k of w_k ln sum over z of c_z exp(l_k . r_z)`, a scalar; stable for inner products of any size.

    Memory is that of a block of inner products. It can be differentiated once.

    Args:
        left: l, [n, d].
        right: r, [m, d]; at least one row.
        weight, multiplicity: as of `info_nce`.
    """
    with torch.autocast(left.device.type, enabled=False):
        left, right = _full(left), _full(right)
        ones = left.new_ones(())
        weight = ones.expand(len(left)) if weight is None else weight.to(left)
        logs = None if multiplicity is None else multiplicity.to(right).log()
        value: Tensor = _LogSums.apply(left, right, weight, logs)
        return value


def guarded(rows: Tensor) -> Tensor:
    """Rows [n, d] at length 1, a row of zeros staying one: `x / sqrt(|x|^2 + 1e-8)`."""
    return rows * (rows.square().sum(1, keepdim=True) + GUARD).rsqrt()


def _full(rows: Tensor) -> Tensor:
    return rows if rows.dtype == torch.float64 else rows.float()


class _LogSums(torch.autograd.Function):
    """See `log_sums`; gradients of either side are found block by block in the forward pass, where they are wanted.

    Exponents are of base 2, of which torch takes powers in half the time.
    """

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, weight: Tensor, logs: Tensor | None) -> Tensor:
        of_left = torch.empty_like(left) if ctx.needs_input_grad[0] else None
        of_right = torch.zeros_like(right) if ctx.needs_input_grad[1] else None
        total = left.new_zeros(())
        rows = max(1, (BLOCK if left.device.type == "cpu" else GPU_BLOCK) // len(right))
        block = left.new_empty(min(rows, len(left)), len(right))  # memory that is used again is in the cache
        shifted = _largest(left, right, logs) > UNSHIFTED
        scaled, logs = left / LN2, None if logs is None else logs / LN2
        for start in range(0, len(left), rows):
            part = slice(start, start + rows)
            powers = torch.mm(scaled[part], right.T, out=block[: len(left[part])])
            if logs is not None:
                powers += logs
            largest = powers.amax(1, keepdim=True) if shifted else 0.0
            powers = (powers.sub_(largest) if shifted else powers).exp2_()
            sums = powers.sum(1, keepdim=True)
            total += weight[part] @ (LN2 * largest + sums.log())[:, 0]
            share = weight[part, None] / sums
            if of_left is not None:
                torch.mm(powers, right, out=of_left[part]).mul_(share)
            if of_right is not None:
                of_right.addmm_(powers.T, left[part] * share)
        ctx.save_for_backward(*(gradient for gradient in (of_left, of_right) if gradient is not None))
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        kept = list(ctx.saved_tensors)
        of_left = kept.pop(0) * gradient if ctx.needs_input_grad[0] else None
        of_right = kept.pop(0) * gradient if ctx.needs_input_grad[1] else None
        return of_left, of_right, None, None


def _largest(left: Tensor, right: Tensor, logs: Tensor | None) -> float:
    """What no exponent exceeds in size: the product of the longest rows (Cauchy-Schwarz), and the largest of `logs`."""
    if not len(left):
        return 0.0
    lengths = torch.linalg.vector_norm(left, dim=1).amax() * torch.linalg.vector_norm(right, dim=1).amax()
    return float(lengths if logs is None else lengths + logs.abs().amax())
