"""Cross-entropy with soft targets against loops, its gradient against autograd's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from recsys.objectives import soft_targets as module
from recsys.objectives.soft_targets import soft_target_loss

N, M, T, TEXT_T = 5, 7, 0.3, 0.4


def rows(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def given() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return rows(N, 3, seed=0), rows(M, 3, seed=1), rows(N, 4, seed=2), rows(M, 4, seed=3)


def loss(*parts: Tensor, least: float = 0.1) -> Tensor:
    return soft_target_loss(*parts, temperature=T, target_temperature=TEXT_T, least_weight=least)


def distribution(row: Tensor, others: Tensor, temperature: float) -> list[float]:
    cosines = [float(row @ z) / math.sqrt((float(row @ row) + 1e-8) * (float(z @ z) + 1e-8)) for z in others]
    powers = [math.exp(value / temperature) for value in cosines]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("block", [1, 2 * M, 2**19])
@pytest.mark.parametrize("least", [0.0, 0.4, 1.0])
def test_it_is_the_weighted_cross_entropy_of_each_row(
    monkeypatch: pytest.MonkeyPatch, block: int, least: float
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    a, z, target_a, target_z = given()
    total, weights = 0.0, []
    for k in range(N):
        p, q = distribution(target_a[k], target_z, TEXT_T), distribution(a[k], z, T)
        entropy = -sum(share * math.log(share) for share in p)
        weights.append(min(max(1 - entropy / math.log(M), least), 1.0))
        total -= weights[-1] * sum(share * math.log(other) for share, other in zip(p, q, strict=True))
    assert loss(a, z, target_a, target_z, least=least).item() == pytest.approx(total / N)


@pytest.mark.parametrize("block", [3, 2**19])
def test_its_gradients_are_those_of_finite_differences(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    a, z, target_a, target_z = given()
    assert torch.autograd.gradcheck(
        lambda left, right: loss(left, right, target_a, target_z), (a.requires_grad_(), z.requires_grad_())
    )


def test_it_is_least_where_both_distributions_are_the_same() -> None:
    a, z, *_ = given()
    a.requires_grad_()
    soft_target_loss(a, z, a, z, temperature=T, target_temperature=T, least_weight=0.0).backward()
    assert a.grad is not None
    assert a.grad.abs().max() < 1e-12


def test_nobody_and_a_single_candidate_give_nothing() -> None:
    a, z, target_a, target_z = given()
    a.requires_grad_()
    nobody = loss(a[:0], z, target_a[:0], target_z)
    nobody.backward()
    assert nobody.item() == 0.0
    assert not a.grad.any()  # type: ignore[union-attr]
    assert loss(a, z[:1], target_a, target_z[:1]).item() == 0.0


def test_half_precision_is_not_used_inside() -> None:
    parts = [part.bfloat16() for part in given()]
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(*parts)
    assert found.dtype == torch.float32
    assert found.item() == loss(*(part.float() for part in parts)).item()
