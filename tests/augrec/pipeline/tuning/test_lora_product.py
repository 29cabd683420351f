"""A layer and its adapter as one product: the numbers of two; in bfloat16 a beginning adapter is not rounded away."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import linear

from augrec.pipeline.tuning.lora_product import LoraProduct

INPUTS, OUTPUTS, RANK, SCALE = 24, 40, 4, 2.0


def drawn(dtype: torch.dtype, size: float = 1.0) -> tuple[torch.Tensor, ...]:
    """x, W, A and B; W is frozen, A and B are float32, and B is as large as said."""
    draws = torch.Generator().manual_seed(11)
    shapes = ((2, 50, INPUTS), (OUTPUTS, INPUTS), (RANK, INPUTS), (OUTPUTS, RANK))
    x, weight, a, b = (torch.randn(shape, generator=draws) for shape in shapes)
    trained = ((a * INPUTS**-0.5).requires_grad_(), (b * size).requires_grad_())
    return x.to(dtype).requires_grad_(), weight.to(dtype), *trained


def beside(x: torch.Tensor, weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """As peft has it."""
    return linear(x, weight) + linear(linear(x, a.to(x.dtype)), b.to(x.dtype)) * SCALE


def test_numbers_and_gradients_are_those_of_two_products() -> None:
    found, expected = drawn(torch.float32), drawn(torch.float32)
    outs = LoraProduct.apply(*found, SCALE), beside(*expected)
    for out in outs:
        (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
    torch.testing.assert_close(*outs, rtol=1e-4, atol=1e-4)
    for one, other in zip(found, expected, strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4)


def test_the_input_of_the_first_layer_needs_no_gradient() -> None:
    x, weight, a, b = drawn(torch.float32)
    LoraProduct.apply(x.detach(), weight, a, b, SCALE).sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    assert x.grad is None


@pytest.mark.parametrize("size", [1e-4, 1e-3])
def test_in_bfloat16_a_beginning_adapter_changes_the_result_by_as_much_as_it_says(size: float) -> None:
    """Over many numbers, whose rounding falls either way: the part of the adapter's change that arrives is one."""
    given = drawn(torch.bfloat16, size)
    exact = drawn(torch.float32, size)
    with torch.no_grad():
        wanted = beside(given[0].float(), given[1].float(), *exact[2:]) - linear(given[0].float(), given[1].float())
        plain = linear(given[0], given[1]).float()
        arrived = {
            "one": LoraProduct.apply(*given, SCALE).float() - plain,
            "two": beside(*given).float() - plain,
        }
    share = {name: ((each * wanted).sum() / wanted.square().sum()).item() for name, each in arrived.items()}
    assert share["one"] == pytest.approx(1.0, abs=0.25)
    assert share["two"] < 0.75 * share["one"], "rounded before it is added, most of it is lost"
