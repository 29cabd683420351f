"""A linear layer with its LoRA adapter as one product, which is rounded once.

peft rounds the layer's result and then adds the adapter's. In bfloat16 an adapter that has just begun to learn is less
than half of a last place there, so that the sum is the layer's result again, always, and the first steps change almost
nothing. Here both are columns of one product, whose sums are held in float32 until they are complete:

    h = x A'            y = [x h] [W sB]'
    e = s dy B          dx = dy W + e A          dA = e' x          dB = s dy' h

The frozen W has no gradient. Shapes: x (tokens, inputs), W (outputs, inputs), A (rank, inputs), B (outputs, rank).
"""

from __future__ import annotations

import functools
from typing import Any

import torch


class LoraProduct(torch.autograd.Function):
    """See above. A and B may be held in a wider format than W: they are computed in W's, and so are their gradients."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, s: float) -> Any:
        """y."""
        rows, down, up = x.flatten(0, -2).to(weight.dtype), a.to(weight.dtype), (s * b).to(weight.dtype)
        low = rows @ down.T
        result = torch.cat((rows, low), 1) @ torch.cat((weight, up), 1).T
        ctx.save_for_backward(rows, low, weight, down, up)
        ctx.scale, ctx.dtypes = s, (x.dtype, a.dtype, b.dtype)
        return result.unflatten(0, x.shape[:-1])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """The gradients of x, A and B."""
        rows, low, weight, down, up = ctx.saved_tensors
        x_dtype, a_dtype, b_dtype = ctx.dtypes
        given = gradients[0].flatten(0, -2)
        back = given @ up
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (given @ weight).addmm_(back, down).unflatten(0, gradients[0].shape[:-1]).to(x_dtype)
        of_b = (given.T @ low).to(b_dtype).mul_(ctx.scale)
        return of_x, None, (back.T @ rows).to(a_dtype), of_b, None


def use(model: Any) -> int:
    """Computes the adapted linear layers of a model of peft that way; how many there are.

    Layers with a bias, with dropout, with quantised or trained weights, or with more than one adapter stay as they are.
    """
    from peft.tuners.lora import Linear

    found = [module for module in model.modules() if type(module) is Linear and _plain(module)]
    for module in found:
        module.forward = functools.partial(_forward, module)
    return len(found)


def _plain(module: Any) -> bool:
    """Whether the layer is x W' + s (x A') B' and nothing more."""
    base, names = module.base_layer, list(module.lora_A)
    return (
        type(base) is torch.nn.Linear
        and base.bias is None
        and not base.weight.requires_grad
        and list(module.active_adapters) == names
        and len(names) == 1
        and isinstance(module.lora_dropout[names[0]], torch.nn.Identity)
        and names[0] not in module.lora_variant
    )


def _forward(module: Any, x: torch.Tensor) -> Any:
    name = module.active_adapters[0]
    down, up = module.lora_A[name].weight, module.lora_B[name].weight
    return LoraProduct.apply(x, module.base_layer.weight, down, up, module.scaling[name])
