"""A linear layer whose start is passed randomness."""

from __future__ import annotations

import torch
from torch import nn


def xavier_linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with Xavier-uniform weights and torch's default bias, both drawn from `generator`."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.uniform_(layer.bias, -(inputs**-0.5), inputs**-0.5, generator=generator)
    return layer
