"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recsys.linear_layer import xavier_linear


class Layers(nn.Module):
    """Linear layers with a ReLU after each, and dropout after that.

    Args:
        inputs: size of what comes in.
        sizes: of the layers; without any there is no network, and nothing comes out.
        dropout: the share of units that a training step leaves out.
        generator: draws the layers.

    Attributes:
        outputs: size of what comes out.
    """

    def __init__(self, inputs: int, sizes: Sequence[int], dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.outputs = sizes[-1] if sizes else 0
        self.linear = nn.ModuleList(
            xavier_linear(before, size, generator) for before, size in zip((inputs, *sizes), sizes, strict=False)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[b, inputs] to [b, outputs]."""
        if not self.outputs:
            return x[:, :0]
        for layer in self.linear:
            x = self.dropout(torch.relu(layer(x)))
        return x


class Weighted(nn.Module):
    """One number of each row: its inner product with weights that are learned.

    Args:
        inputs: length of a row.
        generator: draws the weights, Xavier-uniform.
    """

    def __init__(self, inputs: int, generator: torch.Generator) -> None:
        super().__init__()
        weight = torch.empty(1, inputs)
        if inputs:
            nn.init.xavier_uniform_(weight, generator=generator)
        self.weight = nn.Parameter(weight[0])

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [...]."""
        return x @ self.weight
