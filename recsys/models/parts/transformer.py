"""A transformer over windows of items: layers of self-attention and networks of two layers between residual paths.

Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.linear_layer import xavier_linear
from recsys.models.parts.dropout import dropout

Order = Literal["inputs", "queries", "outputs"]
"""What a layer normalises: its input; of an attention only the queries, which then are what it adds to; or its sum."""


class SelfAttention(nn.Module):
    """`softmax(Q K^T / sqrt(d / h)) V` of every head, side by side; torch's fused attention where it has one.

    Args:
        dim: d, the width of rows.
        heads: h.
        dropout: share of the attention that training leaves out.
        causal: whether a row sees only itself and those before it.
        projected: whether the heads are mixed by a further linear map, and all maps have a bias.
        generator: draws the weights.
    """

    def __init__(
        self, dim: int, heads: int, dropout: float, *, causal: bool, projected: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.heads, self.dropout, self.causal = heads, dropout, causal
        self.query, self.key, self.value = (_linear(dim, dim, generator, bias=projected) for _ in range(3))
        self.output = _linear(dim, dim, generator, bias=True) if projected else None

    def forward(self, asking: Tensor, asked: Tensor, visible: Tensor | None) -> Tensor:
        """What the rows `asking` make of the rows `asked`, [b, w, d] each.

        Args:
            visible: bool [b, 1, 1, w], the rows that may be looked at; None for all.
        """
        query, key, value = (
            layer(rows).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, rows in ((self.query, asking), (self.key, asked), (self.value, asked))
        )
        share = self.dropout if self.training else 0.0
        mixed = attend(query, key, value, visible, causal=self.causal, share=share)
        joined = mixed.transpose(1, 2).flatten(2)
        return joined if self.output is None else self.output(joined)


def attend(query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None, *, causal: bool, share: float) -> Tensor:
    """`softmax(Q K^T / sqrt(d)) V`, [b, h, w, d] as each of the three.

    Where nothing is dropped, and on a GPU, it is torch's fused attention. On the CPU torch has none with dropout, and
    what it does instead spends most of its time on draws.

    Args:
        visible: bool [b, 1, 1, w], the rows that may be looked at; None for all.
        causal: whether a row sees only itself and those before it; then `visible` is None.
        share: of the attention that is dropped.
    """
    if not share or query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=share, is_causal=causal)
    alike = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if causal:
        visible = torch.ones(alike.shape[-2:], dtype=torch.bool).tril()
    if visible is not None:
        alike = alike.masked_fill(~visible, -torch.inf)
    return dropout(alike.softmax(-1), share, True) @ value


class Block(nn.Module):
    """Self-attention and a network of two layers, each added to what came in.

    Args:
        dim, heads, dropout, causal, projected, generator: as of `SelfAttention`.
        hidden: width of the network's inner layer.
        activation: of that layer.
        order: see `Order`.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        dropout: float,
        *,
        causal: bool,
        projected: bool,
        hidden: int,
        activation: Callable[[Tensor], Tensor],
        order: Order,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.dropout, self.activation, self.order = dropout, activation, order
        self.attention = SelfAttention(dim, heads, dropout, causal=causal, projected=projected, generator=generator)
        self.inner, self.outer = xavier_linear(dim, hidden, generator), xavier_linear(hidden, dim, generator)
        self.attention_norm, self.network_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, rows: Tensor, visible: Tensor | None) -> Tensor:
        """Rows [b, w, d] after the block; `visible` as of `SelfAttention`."""
        if self.order == "outputs":
            rows = self.attention_norm(rows + self._dropped(self.attention(rows, rows, visible)))
            return self.network_norm(rows + self._network(rows))
        normal = self.attention_norm(rows)
        if self.order == "inputs":
            rows = rows + self._dropped(self.attention(normal, normal, visible))
            return rows + self._network(self.network_norm(rows))
        rows = normal + self.attention(normal, rows, visible)
        normal = self.network_norm(rows)
        return normal + self._network(normal)

    def _network(self, rows: Tensor) -> Tensor:
        return self._dropped(self.outer(self._dropped(self.activation(self.inner(rows)))))

    def _dropped(self, rows: Tensor) -> Tensor:
        return dropout(rows, self.dropout, self.training)


def _linear(inputs: int, outputs: int, generator: torch.Generator, *, bias: bool) -> nn.Linear:
    if bias:
        return xavier_linear(inputs, outputs, generator)
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=False)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    return layer
