"""The objectives that models share, against loops over single numbers."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.objectives.bpr import batch_l2, bpr, rows_l2
from recsys.objectives.two_views import two_views


def rows(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dot(left: Tensor, right: Tensor) -> float:
    return math.fsum(a * b for a, b in zip(left.tolist(), right.tolist(), strict=True))


def bpr_by_loop(user: Tensor, positive: Tensor, negative: Tensor, weight: list[float]) -> float:
    losses = [math.log(1 + math.exp(dot(u, n) - dot(u, p))) for u, p, n in zip(user, positive, negative, strict=True)]
    return math.fsum(w * loss for w, loss in zip(weight, losses, strict=True)) / math.fsum(weight)


def test_bpr_is_the_mean_of_its_definition() -> None:
    parts = rows(0, 5, 3), rows(1, 5, 3), rows(2, 5, 3)
    assert bpr(*parts).item() == pytest.approx(bpr_by_loop(*parts, [1.0] * 5), rel=1e-12)


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_bpr_is_weighted_whatever_the_weights_add_up_to(scale: float) -> None:
    parts, weight = (rows(0, 4, 3), rows(1, 4, 3), rows(2, 4, 3)), [0.0, 0.5, 2.0, 3.5]
    found = bpr(*parts, scale * torch.tensor(weight, dtype=torch.float64))
    assert found.item() == pytest.approx(bpr_by_loop(*parts, weight), rel=1e-12)


def test_bpr_without_any_weight_is_zero_and_not_nan() -> None:
    assert bpr(rows(0, 2, 3), rows(1, 2, 3), rows(2, 2, 3), torch.zeros(2, dtype=torch.float64)).item() == 0.0


@pytest.mark.parametrize("kind", ["squared", "norm"])
def test_the_penalty_counts_a_row_as_often_as_it_occurs(kind: str) -> None:
    users, items = rows(0, 4, 3), rows(1, 6, 3)
    batch = Triplets(torch.tensor([0, 0, 3]), torch.tensor([5, 1, 1]), torch.tensor([2, 2, 4]), None, 3)
    u, p, n, penalty = batch_l2(users, items, batch, kind)  # type: ignore[arg-type]
    chosen = [[users[i] for i in (0, 0, 3)], [items[i] for i in (5, 1, 1)], [items[i] for i in (2, 2, 4)]]
    for found, expected in zip((u, p, n), chosen, strict=True):
        assert torch.equal(found, torch.stack(expected))
    squares = [math.fsum(dot(row, row) for row in part) for part in chosen]
    expected_penalty = sum(squares) / 2 / 3 if kind == "squared" else sum(map(math.sqrt, squares)) / 3
    assert penalty.item() == pytest.approx(expected_penalty, rel=1e-6)


def test_the_penalty_has_the_gradient_of_its_formula_to_the_bit() -> None:
    parts = [rows(seed, 5, 3).float().requires_grad_() for seed in range(3)]
    (0.3 * rows_l2(parts, "squared")).backward()
    plain = [part.detach().clone().requires_grad_() for part in parts]
    (0.3 * torch.stack([part.square().sum() / 2 for part in plain]).sum() / 5).backward()
    for found, expected in zip(parts, plain, strict=True):
        assert found.grad is not None
        assert expected.grad is not None
        assert torch.equal(found.grad, expected.grad)
    doubles = [rows(seed, 4, 2).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradgradcheck(lambda *given: rows_l2(given, "squared"), doubles)


def test_a_row_looked_up_twice_gets_both_gradients() -> None:
    table = rows(0, 3, 2).requires_grad_()
    lookup(table, torch.tensor([1, 1, 2])).sum().backward()
    assert table.grad is not None
    assert table.grad.tolist() == [[0.0, 0.0], [2.0, 2.0], [1.0, 1.0]]


@pytest.mark.parametrize("block", [1, 10, 2**24])
@pytest.mark.parametrize(("n", "temperature"), [(1, 0.5), (5, 0.2)])
def test_two_views_is_the_formula_of_its_docstring(
    n: int, temperature: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchor, other = rows(3, n, 4), rows(4, n, 4)

    def similarity(left: Tensor, right: Tensor) -> float:
        return dot(left, right) / math.sqrt(dot(left, left) * dot(right, right)) / temperature

    across, within = {}, {}
    for i, j in product(range(n), range(n)):
        across[i, j] = math.exp(similarity(anchor[i], other[j]))
        within[i, j] = math.exp(similarity(anchor[i], anchor[j]))
    losses = [
        -math.log(across[i, i] / (sum(across[i, j] for j in range(n)) + sum(within[i, j] for j in range(n) if j != i)))
        for i in range(n)
    ]
    monkeypatch.setattr("recsys.objectives.two_views.BLOCK", block)
    assert two_views(anchor, other, temperature).item() == pytest.approx(math.fsum(losses) / n, rel=1e-9)


def test_memory_of_two_views_is_bounded_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 9 rows, 3 at a time: no product in the forward has more than 27 entries."""
    monkeypatch.setattr("recsys.objectives.two_views.BLOCK", 27)
    sizes = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            if isinstance(made, Tensor):
                sizes.append(made.numel())
            return made

    with Sizes():
        two_views(rows(0, 9, 2), rows(1, 9, 2), 0.5)
    assert max(sizes) == 27


def test_two_views_of_no_row_is_zero_with_a_gradient() -> None:
    anchor, other = torch.zeros(0, 4, requires_grad=True), torch.zeros(0, 4, requires_grad=True)
    loss = two_views(anchor, other, 0.5)
    loss.backward()
    assert loss.item() == 0.0
    assert anchor.grad is not None
    assert other.grad is not None


def test_two_views_keeps_double_precision() -> None:
    assert two_views(rows(0, 3, 4), rows(1, 3, 4), 0.5).dtype == torch.float64


def test_two_views_uses_no_half_precision_inside() -> None:
    anchor, other = rows(0, 6, 4).float(), rows(1, 6, 4).float()
    with torch.autocast("cpu", torch.bfloat16):
        found = two_views(anchor, other, 0.2)
    assert found.item() == two_views(anchor, other, 0.2).item()


@pytest.mark.parametrize("block", [5, 10, 2**24])
def test_two_views_has_the_gradients_of_finite_differences(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where blocks are computed again, and where `torch.autograd.grad` asks for a part of the gradients."""
    monkeypatch.setattr("recsys.objectives.two_views.BLOCK", block)
    given = rows(3, 5, 4).requires_grad_(), rows(4, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda anchor, other: two_views(anchor, other, 0.3), given)
