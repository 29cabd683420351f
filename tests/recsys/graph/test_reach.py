from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from recsys.graph.reach import Reach
from recsys.graph.smoothing import SmoothingGraph

USERS, ITEMS, WIDTH = 120, 90, 16


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small products are compiled, in blocks of columns, and leave out whatever they can."""
    for name, value in {"WORTH_LOADING": 0, "ENTRIES": 0, "LEAST": 25}.items():
        monkeypatch.setattr(f"recsys.graph.sparse_operator.{name}", value)
    monkeypatch.setattr("recsys.graph.row_sums.ROWS_AT_ONCE", 50)
    for name in ("MOST", "FEW", "WORTH"):
        monkeypatch.setattr(f"recsys.graph.reach.{name}", 1.0)


def graph() -> SmoothingGraph:
    """With users and items that have no interaction."""
    rng = np.random.default_rng(0)
    return SmoothingGraph(np.unique(rng.integers(0, (USERS - 3, ITEMS - 2), (200, 2)), axis=0), USERS, ITEMS)


def embeddings() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    users, items = (torch.randn(n, WIDTH, generator=generator) for n in (USERS, ITEMS))
    return users.requires_grad_(), items.requires_grad_()


def with_gradients(found: tuple[Tensor, Tensor], given: tuple[Tensor, Tensor]) -> list[Tensor]:
    slopes = [torch.randn(part.shape, generator=torch.Generator().manual_seed(2)) for part in found]
    total = sum((part * slope).sum() for part, slope in zip(found, slopes, strict=True))
    return [*found, *torch.autograd.grad(total, given)]  # type: ignore[arg-type]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("pooling", ["mean", "sum"])
@pytest.mark.parametrize(("layers", "first"), [(1, 0), (1, 1), (2, 0), (3, 0), (3, 1), (5, 0)])
@pytest.mark.parametrize("threads", [1, 3])
def test_rows_alone_have_the_bits_of_the_whole_and_so_have_gradients(
    layers: int,
    first: Literal[0, 1],
    pooling: Literal["mean", "sum"],
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    whole, given = graph(), embeddings()
    users, items = torch.tensor([7, 3, USERS - 1, 3, 50]), torch.tensor([ITEMS - 1, 0, 11])
    reach = whole.reach(given[0], layers, users, items)
    assert reach is not None
    assert [rows.tolist() for rows in reach.rows] == [[3, 7, 50, USERS - 1], [0, 11, ITEMS - 1]]
    everything = whole(*given, layers, pooling=pooling, first=first)
    expected = everything[0][reach.rows[0]], everything[1][reach.rows[1]]
    found = whole(*given, layers, pooling=pooling, first=first, reach=reach)
    for ours, theirs in zip(with_gradients(found, given), with_gradients(expected, given), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.usefixtures("compiled")
def test_what_is_left_out_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = torch.Tensor.new_empty
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda *given: empty(*given).fill_(torch.nan))
    whole, given = graph(), embeddings()
    reach = whole.reach(given[0], 3, torch.tensor([3, 7]), torch.tensor([11]))
    assert reach is not None
    found = with_gradients(whole(*given, 3, reach=reach), given)
    assert all(part.isfinite().all() for part in found)


@pytest.mark.usefixtures("compiled")
def test_levels_are_neighbours_of_the_last() -> None:
    whole, given = graph(), embeddings()
    reach = whole.reach(given[0], 3, torch.tensor([3]), torch.tensor([11]))
    assert reach is not None
    assert len(reach.levels) == 3
    dense = whole.hop.matrix().to_dense().numpy() > 0
    for before, after in zip(reach.levels, reach.levels[1:], strict=False):
        assert np.array_equal(after.users.mask, before.users.mask | dense[:, before.items.ids].any(1))
        assert np.array_equal(after.items.mask, before.items.mask | dense[before.users.ids].any(0))
    for level in reach.levels:
        assert level.users.share == pytest.approx(dense[level.users.ids].sum() / dense.sum())
        assert level.items.share == pytest.approx(dense[:, level.items.ids].sum() / dense.sum())


def test_a_graph_is_computed_whole_where_little_could_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, (table, _), few, all_users = graph(), embeddings(), torch.tensor([3]), torch.arange(USERS)
    assert whole.reach(table, 3, few, few) is None  # small products are not compiled
    monkeypatch.setattr("recsys.graph.sparse_operator.WORTH_LOADING", 0)
    assert whole.reach(table, 0, few, few) is None
    assert whole.reach(table, 3, all_users, few) is None
    assert isinstance(whole.reach(table, 3, few, few), Reach)
    whole.hop.backend = "torch-sparse"
    assert whole.reach(table, 3, few, few) is None


@pytest.mark.usefixtures("compiled")
def test_levels_end_where_nearly_everybody_is_a_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, given = graph(), embeddings()
    monkeypatch.setattr("recsys.graph.reach.FEW", 0.01)
    reach = whole.reach(given[0], 3, torch.arange(20), torch.arange(10))
    assert reach is not None
    assert len(reach.levels) == 1
