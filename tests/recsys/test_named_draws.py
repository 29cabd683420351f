from __future__ import annotations

import torch

from recsys.draws import Draws


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def test_what_is_drawn_lies_where_it_is_said_to() -> None:
    draw = draws()
    shares = draw.uniform("x", 500, 4)
    assert shares.shape == (500, 4)
    assert 0 <= shares.min() < 0.01 < 0.99 < shares.max() < 1
    distinct = draw.distinct("x", 30, 40)
    assert len(distinct.unique()) == 30
    assert set(distinct.tolist()) <= set(range(40))
    repeated = draw.repeated("x", 300, 7)
    assert set(repeated.tolist()) == set(range(7))
    assert abs(draw.kept("x", 4000, 0.3).float().mean() - 0.3) < 0.03


def test_names_do_not_change_draws_and_seeds_do() -> None:
    first, second, third = draws(), draws(), draws(1)
    assert torch.equal(first.uniform("a", 5), second.uniform("b", 5))
    assert torch.equal(first.distinct("a", 3, 9), second.distinct("b", 3, 9))
    assert not torch.equal(first.uniform("a", 5), third.uniform("a", 5))
