from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from recsys.objectives import info_nce as module
from recsys.objectives.info_nce import guarded, info_nce, log_sums


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b) / math.sqrt((float(a @ a) + 1e-8) * (float(b @ b) + 1e-8))


def looped(a: Tensor, p: Tensor, z: Tensor, t: float, w: list[float], c: list[float]) -> float:
    total = 0.0
    for k in range(len(a)):
        powers = sum(c[j] * math.exp(cosine(a[k], z[j]) / t) for j in range(len(z)))
        total += w[k] * (math.log(powers) - cosine(a[k], p[k]) / t)
    return total


@pytest.mark.parametrize("unshifted", [0.0, 40.0])
@pytest.mark.parametrize("block", [1, 12, 2**19])
def test_it_is_the_sum_over_rows_and_candidates(monkeypatch: pytest.MonkeyPatch, block: int, unshifted: float) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(module, "UNSHIFTED", unshifted)
    a, p, z = rows(7, 3), rows(7, 3, seed=1), rows(5, 3, seed=2)
    w, c = [1.0, 2, 3, 1, 1, 0.5, 4], [1.0, 3, 1, 2, 1]
    assert info_nce(a, p, z, 0.3).item() == pytest.approx(looped(a, p, z, 0.3, [1.0] * 7, [1.0] * 5))
    found = info_nce(a, p, z, 0.3, weight=torch.tensor(w), multiplicity=torch.tensor(c)).item()
    assert found == pytest.approx(looped(a, p, z, 0.3, w, c))


def test_counting_equal_rows_is_having_them(monkeypatch: pytest.MonkeyPatch) -> None:
    a, z = rows(3, 4), rows(4, 4, seed=1)
    many, more = a[[0, 1, 1, 2, 2, 2]], z[[0, 0, 1, 2, 3, 3]]
    counted = info_nce(a, z[:3], z, 0.5, weight=torch.tensor([1, 2, 3]), multiplicity=torch.tensor([2, 1, 1, 2])).item()
    assert counted == pytest.approx(info_nce(many, z[[0, 1, 1, 2, 2, 2]], more, 0.5).item())


@pytest.mark.parametrize(("block", "unshifted"), [(3, 40.0), (3, 0.0), (2**19, 40.0)])
def test_its_gradients_are_those_of_finite_differences(
    monkeypatch: pytest.MonkeyPatch, block: int, unshifted: float
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(module, "UNSHIFTED", unshifted)
    w, c = torch.tensor([1.0, 2, 3, 1]), torch.tensor([1, 2, 1, 1, 3])
    given = tuple(part.requires_grad_() for part in (rows(4, 3), rows(4, 3, seed=1), rows(5, 3, seed=2)))
    assert torch.autograd.gradcheck(lambda a, p, z: info_nce(a, p, z, 0.4, weight=w, multiplicity=c), given)
    assert torch.autograd.gradcheck(lambda a, z: log_sums(a, z), (given[0], given[2]))


def test_a_side_without_a_gradient_is_given_none() -> None:
    a, z = rows(4, 3).requires_grad_(), rows(5, 3, seed=1)
    log_sums(a, z).backward()
    expected = (a.detach() @ z.T).softmax(1) @ z
    assert torch.allclose(a.grad, expected)  # type: ignore[arg-type]
    other = rows(5, 3, seed=1).requires_grad_()
    log_sums(a.detach(), other).backward()
    assert torch.allclose(other.grad, (a.detach() @ z.T).softmax(1).T @ a.detach())  # type: ignore[arg-type]


def test_large_exponents_stay_finite() -> None:
    a, z = 100 * rows(3, 4).float(), 100 * rows(5, 4, seed=1).float()
    assert log_sums(a, z).item() == pytest.approx(float((a @ z.T).logsumexp(1).sum()), rel=1e-6)
    a = rows(3, 4).float().requires_grad_()
    info_nce(a, a, a, 1e-3).backward()
    assert torch.isfinite(a.grad).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [39.0, 41.0, 500.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_every_size_of_exponents_is_exact(size: float, sign: float) -> None:
    """All of a row's exponents are large, or all are small; float32 against float64."""
    direction = torch.nn.functional.normalize(rows(1, 4))
    left, right = (size * direction).float(), (sign * direction * torch.tensor([[1.0], [0.99]]).double()).float()
    left.requires_grad_()
    log_sums(left, right).backward()
    exact = left.detach().double().requires_grad_()
    value = (exact @ right.double().T).logsumexp(1).sum()
    value.backward()
    assert log_sums(left, right).item() == pytest.approx(value.item(), rel=1e-6)
    torch.testing.assert_close(left.grad, exact.grad.float())


def test_sums_of_many_exponents_do_not_overflow() -> None:
    """e^79.9 is a float32, and 20,000 times as much is none; nor is e^39 of a candidate that counts e^60 times."""
    one, many = torch.full((1, 1), 79.9), torch.ones(20_000, 1)
    assert log_sums(one, many).item() == pytest.approx(79.9 + math.log(20_000), rel=1e-6)
    often = torch.tensor([math.exp(60.0), 1.0])
    assert log_sums(one - 40.9, many[:2], multiplicity=often).item() == pytest.approx(99.0, rel=1e-6)


def test_a_short_row_is_guarded_by_a_length_of_a_ten_thousandth() -> None:
    short = torch.tensor([[1e-4, 0.0], [0.0, -3e-4]], dtype=torch.float64)
    assert guarded(short).flatten().tolist() == pytest.approx([math.sqrt(1 / 2), 0.0, 0.0, -math.sqrt(9 / 10)])


def test_a_row_of_zeros_has_no_direction_and_a_finite_gradient() -> None:
    x = torch.zeros(2, 3, requires_grad=True)
    assert guarded(x).abs().sum() == 0
    info_nce(x, rows(2, 3).float(), rows(4, 3).float(), 0.5).backward()
    assert torch.isfinite(x.grad).all()  # type: ignore[arg-type]


def test_no_rows_give_zero_and_half_precision_is_not_used_inside() -> None:
    assert info_nce(rows(0, 3), rows(0, 3), rows(2, 3), 0.5).item() == 0
    a, z = rows(3, 4).float(), rows(5, 4, seed=1).float()
    with torch.autocast("cpu", torch.bfloat16):
        found, sums = info_nce(a, z[:3], z, 0.2), log_sums(a, z)
    assert sums.item() == log_sums(a, z).item()
    assert found.dtype == torch.float32
    assert found.item() == info_nce(a, z[:3], z, 0.2).item()
