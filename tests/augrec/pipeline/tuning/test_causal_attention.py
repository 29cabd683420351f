"""Attention by blocks is torch's, with its gradients; whatever is not plainly causal is left to torch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from augrec.pipeline.tuning import causal_attention
from augrec.pipeline.tuning.causal_attention import BLOCK, CausalAttention, attend

CAUSAL = SimpleNamespace(is_causal=True, num_key_value_groups=2)
HEADS, KEYS, WIDTH = 4, 2, 8


def drawn(tokens: int, dtype: torch.dtype = torch.float32, batch: int = 2) -> list[torch.Tensor]:
    """Queries, keys and values as a layer makes them: (batch, tokens, heads, width) seen from the heads."""
    draws = torch.Generator().manual_seed(tokens)
    made = (2 * torch.randn(batch, tokens, heads, WIDTH, generator=draws) for heads in (HEADS, KEYS, KEYS))
    return [each.to(dtype).transpose(1, 2).requires_grad_() for each in made]


def gradients(out: torch.Tensor, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape)
    return [out, *torch.autograd.grad((out.float() * weights).sum(), inputs)]


def by_torch(inputs: list[torch.Tensor], scale: float) -> torch.Tensor:
    return scaled_dot_product_attention(*inputs, is_causal=True, scale=scale, enable_gqa=True)


@pytest.mark.parametrize("tokens", [1, 5, BLOCK, BLOCK + 1, 2 * BLOCK + 44])
@pytest.mark.parametrize("scale", [WIDTH**-0.5, 0.3])
def test_it_is_torchs_with_its_gradients(tokens: int, scale: float) -> None:
    inputs = drawn(tokens)
    found = gradients(CausalAttention.apply(*inputs, scale), inputs)
    for one, other in zip(found, gradients(by_torch(inputs, scale), inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_in_bfloat16_it_is_as_near_to_float32_as_torchs() -> None:
    exact, low = drawn(200), [each.detach().bfloat16().requires_grad_() for each in drawn(200)]
    wanted = gradients(by_torch(exact, 0.35), exact)
    ours, theirs = (gradients(made, low) for made in (CausalAttention.apply(*low, 0.35), by_torch(low, 0.35)))
    for one, other, whole in zip(ours, theirs, wanted, strict=True):
        assert torch.dist(one.float(), whole) < 2 * torch.dist(other.float(), whole) < 0.1 * whole.norm()


def test_nothing_that_comes_later_is_seen() -> None:
    inputs = drawn(BLOCK + 9, batch=1)
    out = CausalAttention.apply(*inputs, 1.0)
    for each in torch.autograd.grad(out[:, :, BLOCK - 1].sum(), inputs):
        assert each[:, :, :BLOCK].abs().max() > 0
        assert each[:, :, BLOCK:].abs().max() == 0


@pytest.mark.parametrize(
    ("changed", "ours"),
    [
        ({}, True),
        ({"attention_mask": torch.ones(1, 1, 6, 6, dtype=torch.bool).tril()}, False),
        ({"is_causal": False}, False),
        ({"dropout": 0.5}, False),
        ({"longest": 5}, False),
    ],
)
def test_what_is_not_plainly_causal_is_left_to_torch(
    changed: dict[str, Any], ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causal_attention, "LONGEST", changed.pop("longest", causal_attention.LONGEST))
    called: list[int] = []
    own = CausalAttention.apply
    monkeypatch.setattr(CausalAttention, "apply", lambda *given: called.append(1) or own(*given))
    inputs = drawn(6, batch=1)
    options = {"attention_mask": None, "scaling": None, "dropout": 0.0} | changed
    out, _ = attend(CAUSAL, *inputs, **options)
    assert out.shape == (1, 6, HEADS, WIDTH)
    assert called == ([1] if ours else [])
    if not {"is_causal", "dropout"} & set(changed):
        torch.testing.assert_close(out, by_torch(inputs, WIDTH**-0.5).transpose(1, 2), rtol=1e-4, atol=1e-5)
