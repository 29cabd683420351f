"""Dropout with cheap draws, and attention with it, are what torch's are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recsys.models.parts.dropout import dropout
from recsys.models.parts.transformer import attend


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_a_share_is_dropped_and_the_rest_keeps_the_mean(share: float) -> None:
    torch.manual_seed(0)
    rows = torch.full((333, 301), 2.0, requires_grad=True)
    found = dropout(rows, share, True)
    assert found.unique().tolist() == pytest.approx([0.0, 2 / (1 - share)], rel=1e-4)
    spread = np.sqrt(share * (1 - share) / rows.numel())
    assert abs(float((found == 0).double().mean()) - share) < 4 * spread
    found.sum().backward()
    assert rows.grad is not None
    assert torch.equal(rows.grad == 0, found == 0)
    assert not torch.equal(dropout(rows, share, True) == 0, found == 0)
    torch.manual_seed(0)
    assert torch.equal(dropout(rows, share, True), found)


def test_neighbours_are_drawn_apart() -> None:
    """Four numbers share a draw of 64 bits."""
    torch.manual_seed(0)
    kept = (dropout(torch.ones(100_000), 0.5, True) > 0).double()
    for distance in range(1, 9):
        together = float((kept[distance:] * kept[:-distance]).mean())
        assert abs(together - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(kept))


@pytest.mark.parametrize(("share", "training"), [(0.0, True), (0.5, False)])
def test_nothing_is_dropped_where_nothing_is_asked_for(share: float, training: bool) -> None:
    rows = torch.ones(5)
    assert dropout(rows, share, training) is rows


@pytest.mark.parametrize("causal", [True, False])
def test_attention_by_steps_is_the_fused_one(causal: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(3, 2, 7, 4, generator=generator, dtype=torch.float64) for _ in range(3)]
    visible = None if causal else torch.arange(7) < torch.tensor([7, 3, 1])[:, None, None, None]
    expected = F.scaled_dot_product_attention(*rows, attn_mask=visible, is_causal=causal)
    nothing = 1e-9  # is told as no number of 65,536
    torch.testing.assert_close(attend(*rows, visible, causal=causal, share=nothing), expected)
    torch.testing.assert_close(attend(*rows, visible, causal=causal, share=0.0), expected)
    torch.manual_seed(0)
    mean = torch.stack([attend(*rows, visible, causal=causal, share=0.3) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(mean, expected, rtol=0, atol=0.1)
