"""The objectives of LLMRec on numbers small enough to check by hand."""

from __future__ import annotations

import math

import pytest
import torch

from recsys.objectives.features import feature_penalty, inverted_l2
from recsys.objectives.pruned import Keep, pruned
from recsys.objectives.restoration import hidden_rows, restoration_loss

MARGINS = [3.0, -1.0, 0.5, 2.0, -2.0]


def cost(margin: float) -> float:
    return math.log(1 + math.exp(-margin))


def parts(margins: list[float]) -> tuple[torch.Tensor, ...]:
    return torch.ones(len(margins), 1), torch.tensor(margins)[:, None], torch.zeros(len(margins), 1)


@pytest.mark.parametrize(
    ("keep", "rate", "kept"),
    [
        ("hard", 0.5, [-2.0, -1.0]),
        ("easy", 0.5, [3.0, 2.0]),
        ("all", 0.5, MARGINS),
        ("hard", 0.0, MARGINS),
        ("hard", 0.99, [-2.0]),
    ],
)
def test_pruned_keeps_what_it_says(keep: str, rate: float, kept: list[float]) -> None:
    expected = sum(map(cost, kept)) / len(kept)
    assert pruned(*parts(MARGINS), rate=rate, keep=keep).item() == pytest.approx(expected, rel=1e-6)


def test_pruned_prefers_the_positive_to_the_negative() -> None:
    positive, negative = torch.tensor([[1.0], [4.0]]), torch.tensor([[3.0], [1.0]])
    expected = (cost(1.0 - 3.0) + cost(4.0 - 1.0)) / 2
    assert pruned(torch.ones(2, 1), positive, negative, rate=0.0).item() == pytest.approx(expected, rel=1e-6)


def test_pruned_adds_the_references_epsilon_to_the_margin() -> None:
    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    assert pruned(one, one, zero, rate=0.0).item() == pytest.approx(cost(1.0 + 1e-8), rel=1e-12)


def test_pruned_counts_as_the_published_code_does() -> None:
    """int((1 - 0.71) * 140) = 40 of 140, whatever floating point makes of it."""
    users = torch.ones(140, 1, requires_grad=True)
    pruned(users, torch.linspace(-1, 1, 140)[:, None], torch.zeros(140, 1), rate=0.71).backward()
    assert int((users.grad != 0).sum()) == 40
    assert (users.grad[:40] != 0).all()


def test_pruned_terms_are_independent() -> None:
    user = torch.ones(3, 1, 1)
    positive = torch.tensor([[1.0, -3.0], [-1.0, 2.0], [0.0, 5.0]])[:, :, None]
    found = pruned(user, positive, torch.zeros_like(positive), rate=0.5)
    assert found.tolist() == pytest.approx([cost(-1.0), cost(-3.0)], rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_pruned_weights_the_kept_triplets(scale: float) -> None:
    weight = scale * torch.tensor([9.0, 1.0, 9.0, 9.0, 3.0])
    expected = (1 * cost(-1.0) + 3 * cost(-2.0)) / 4
    assert pruned(*parts(MARGINS), rate=0.5, weight=weight).item() == pytest.approx(expected, rel=1e-6)
    several = [part[:, None].expand(-1, 2, -1) for part in parts(MARGINS)]
    for rate in (0.0, 0.5):
        alone = pruned(*parts(MARGINS), rate=rate, weight=weight).item()
        assert pruned(*several, rate=rate, weight=weight).tolist() == pytest.approx([alone, alone], rel=1e-6)


@pytest.mark.parametrize("keep", ["hard", "easy", "all"])
def test_pruned_leaves_each_weight_with_its_triplet_where_none_is_left_out(keep: Keep) -> None:
    weight = [9.0, 1.0, 2.0, 4.0, 3.0]
    expected = sum(w * cost(margin) for w, margin in zip(weight, MARGINS, strict=True)) / sum(weight)
    found = pruned(*parts(MARGINS), rate=0.0, keep=keep, weight=torch.tensor(weight))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_pruned_without_weight_at_all_is_zero() -> None:
    assert pruned(*parts(MARGINS), rate=0.5, weight=torch.zeros(5)).item() == 0


def test_feature_penalty_by_hand() -> None:
    users, items = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    assert feature_penalty(users, items).item() == pytest.approx((5 + 10) / 2 / 2)


def test_inverted_l2_rewards_length() -> None:
    rows = (torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
    assert inverted_l2(rows, 4).item() == pytest.approx((1 / 4 + 1 / 8 + 1 / 2) / 4)
    assert inverted_l2(tuple(2 * part for part in rows), 4) < inverted_l2(rows, 4)


@pytest.mark.parametrize(("rate", "count"), [(0.3, 6), (0.01, 1), (0.99, 19)])
def test_hidden_rows_are_different_present_rows(rate: float, count: int) -> None:
    present = torch.arange(0, 40, 2)
    rows = hidden_rows(present, rate).tolist()
    assert len(rows) == len(set(rows)) == count
    assert set(rows) <= set(present.tolist())
    assert len(hidden_rows(present[:0], rate)) == 0


def test_restoration_loss_by_hand() -> None:
    decoded = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    wanted = torch.tensor([[5.0, 0.0], [1.0, 0.0]])  # cosines 1 and 0
    assert restoration_loss(decoded, wanted, alpha=3.0).item() == pytest.approx(0.5)
    assert restoration_loss(decoded, wanted, "mse").item() == pytest.approx((0 + 1 + 1) / 4)
    half = torch.tensor([[0.5, math.sqrt(0.75)]])  # cosine 0.5
    assert restoration_loss(half, wanted[:1]).item() == pytest.approx(0.25)


def test_restoration_of_nothing_is_zero_with_a_gradient() -> None:
    decoded = torch.zeros(0, 3, requires_grad=True)
    loss = restoration_loss(decoded, torch.zeros(0, 3))
    loss.backward()
    assert loss.item() == 0
