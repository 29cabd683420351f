"""NT-Xent against a loop over rows."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from recsys.objectives.nt_xent import nt_xent


def views(n: int) -> tuple[Tensor, Tensor]:
    first, second = torch.randn(2, n, 3, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    return first, second


def looped(first: Tensor, second: Tensor, temperature: float, cosine: bool) -> float:
    rows = [row / row.norm() if cosine else row for row in (*first, *second)]
    n, losses = len(first), []
    for i, row in enumerate(rows):
        own = float(row @ rows[(i + n) % (2 * n)]) / temperature
        others = [math.exp(float(row @ other) / temperature) for j, other in enumerate(rows) if j != i]
        losses.append(math.log(math.fsum(others)) - own)
    return math.fsum(losses) / (2 * n)


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("n", [1, 4])
def test_it_is_the_mean_over_the_rows_of_both_views(n: int, cosine: bool) -> None:
    found = nt_xent(*views(n), 0.4, cosine=cosine)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(looped(*views(n), 0.4, cosine), rel=1e-12, abs=1e-12)


def test_half_precision_is_not_used_inside() -> None:
    first, second = (view.bfloat16() for view in views(5))
    with torch.autocast("cpu", torch.bfloat16):
        found = nt_xent(first, second, 0.2, cosine=True)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(looped(first.double(), second.double(), 0.2, cosine=True), rel=1e-6)
