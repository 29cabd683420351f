from __future__ import annotations

import functools

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

from recsys.graph.weighted import Pattern

ROWS, COLUMNS = 5, 4
EDGES = np.array([(0, 1), (0, 3), (1, 0), (3, 1), (3, 2), (3, 3), (4, 3)])  # row 2 is empty
SHUFFLED = EDGES[[4, 0, 6, 2, 1, 5, 3]]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.fixture
def pattern() -> Pattern:
    return Pattern(SHUFFLED, ROWS, COLUMNS)


def test_edges_are_sorted(pattern: Pattern) -> None:
    assert len(pattern) == len(EDGES)
    assert torch.stack([pattern.row, pattern.column], 1).tolist() == EDGES.tolist()
    assert not pattern.state_dict()


def test_products_and_dots_are_those_of_loops(pattern: Pattern) -> None:
    values, x, y = draw(7), draw(COLUMNS, 3, seed=1), draw(ROWS, 3, seed=2)
    there, back = torch.zeros(ROWS, 3).double(), torch.zeros(COLUMNS, 3).double()
    for value, (i, j) in zip(values, EDGES, strict=True):
        there[i] += value * x[j]
        back[j] += value * y[i]
    torch.testing.assert_close(pattern.product(values, x), there)
    torch.testing.assert_close(pattern.product(values, y, transposed=True), back)
    expected = torch.stack([y[i] @ x[j] for i, j in EDGES])
    torch.testing.assert_close(pattern.dots(y, x), expected)


@pytest.mark.parametrize("transposed", [False, True])
def test_softmax_over_the_edges_of_each_row_or_column(pattern: Pattern, transposed: bool) -> None:
    values = draw(7) * 300  # large enough to overflow without a shift
    expected = torch.zeros(7).double()
    for end in range(max(ROWS, COLUMNS)):
        mine = torch.from_numpy(EDGES[:, int(transposed)] == end)
        expected[mine] = values[mine].softmax(0)
    torch.testing.assert_close(pattern.softmax(values, transposed=transposed), expected)


def test_gradients_of_both_orders_are_right(pattern: Pattern) -> None:
    values, x, y = draw(7), draw(COLUMNS, 3, seed=1), draw(ROWS, 3, seed=2)
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(pattern.product, (values, x))
        assert check(lambda v, r: pattern.product(v, r, transposed=True), (values, y))
        assert check(pattern.dots, (y, x))
        assert check(pattern.softmax, values)
        assert check(lambda v: pattern.softmax(v, transposed=True), values)
        assert check(pattern.sums, values)


@pytest.mark.parametrize("transposed", [False, True])
def test_weighted_means_of_neighbours(pattern: Pattern, transposed: bool) -> None:
    weights, x = draw(7).detach().exp(), draw(ROWS if transposed else COLUMNS, 3, seed=1).detach()
    ends, others = EDGES.T[::-1] if transposed else EDGES.T
    for epsilon in (0.0, 0.5):
        means = pattern.mean(weights, x, transposed=transposed, epsilon=epsilon)
        for end in range(len(means)):
            mine = np.flatnonzero(ends == end)
            total = sum((weights[e] * x[others[e]] for e in mine), torch.zeros(3).double())
            expected = total / (weights[mine].sum() + epsilon) if len(mine) else total
            torch.testing.assert_close(means[end], expected)
    given = weights.requires_grad_(), x.requires_grad_()
    for epsilon in (0.0, 0.5):
        mean = functools.partial(pattern.mean, transposed=transposed, epsilon=epsilon)
        assert torch.autograd.gradcheck(mean, given)


@pytest.mark.parametrize("keep", [[True] * 7, [False] * 7, [True, False, False, True, False, True, True]])
def test_a_pattern_of_kept_places_is_that_of_their_edges(pattern: Pattern, keep: list[bool]) -> None:
    kept, built = pattern.kept(torch.tensor(keep)), Pattern(EDGES[np.array(keep)], ROWS, COLUMNS)
    assert kept.shape == built.shape
    buffers = dict(built.named_buffers())
    assert dict(kept.named_buffers()).keys() == buffers.keys()
    for name, buffer in kept.named_buffers():
        assert buffer.dtype == buffers[name].dtype, name
        assert torch.equal(buffer, buffers[name]), name


def test_places_that_occur_twice_are_added() -> None:
    twice = Pattern(torch.tensor([(1, 2), (0, 1), (1, 2)]), 2, 3)
    x, values = draw(3, 4).detach(), torch.tensor([3.0, 1.0, 2.0]).double()
    torch.testing.assert_close(twice.product(values, x), torch.stack([3 * x[1], 3 * x[2]]))
    y = draw(2, 4, seed=1).detach()
    torch.testing.assert_close(twice.product(values, y, transposed=True), torch.stack([0 * y[0], 3 * y[0], 3 * y[1]]))


def test_an_empty_pattern(pattern: Pattern) -> None:
    empty = Pattern(np.zeros((0, 2)), ROWS, COLUMNS)
    values = torch.zeros(0, requires_grad=True)
    assert not empty.softmax(values).numel()
    result = empty.product(empty.softmax(empty.dots(torch.ones(ROWS, 2), torch.ones(COLUMNS, 2))), torch.ones(4, 2))
    assert torch.equal(result, torch.zeros(ROWS, 2))


def test_the_pattern_of_a_matrix() -> None:
    matrix = sp.coo_array((np.arange(1.0, 8), tuple(SHUFFLED.T)), shape=(ROWS, COLUMNS))
    pattern, values = Pattern.of(matrix)
    np.testing.assert_array_equal(pattern.matrix(torch.from_numpy(values)).to_dense().numpy(), matrix.toarray())
    transposed = pattern.matrix(torch.from_numpy(values), transposed=True)
    np.testing.assert_array_equal(transposed.to_dense().numpy(), matrix.toarray().T)


def test_full_precision_under_autocast(pattern: Pattern) -> None:
    left, right = draw(ROWS, 3).detach().float().requires_grad_(), draw(COLUMNS, 3, seed=1).detach().float()
    with torch.autocast("cpu", torch.bfloat16):
        dots = pattern.dots(left.bfloat16(), right)
        result = pattern.product(pattern.softmax(dots), right.bfloat16())
        result.square().sum().backward()
    assert dots.dtype == result.dtype == torch.float32
    assert left.grad is not None
    assert torch.isfinite(left.grad).all()
