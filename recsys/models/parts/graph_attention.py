"""Attention of nodes to the nodes that a pattern of edges joins them to, in several heads."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from recsys.graph.weighted import Pattern
from recsys.models.base import embedding_table

LIMIT = 10.0  # of a logit, either way: AutoCF's, which keeps powers finite
GUARD = 1e-8  # AutoCF's: a node without edges attends to nothing and gives 0


class GraphAttention(nn.Module):
    """A node's mean of its neighbours' values, weighted by the power of query . key, side by side for each head.

    Source: equation 8 of AutoCF (Xia et al., WWW 2023). Nodes are projected once, not once for each edge, and what is
    kept of an edge is a number per head: memory is that of edges times heads.

    Args:
        dim: length of an embedding.
        heads: how many; divides `dim`.
        scaled: whether logits are divided by the square root of a head's width.
        generator: draws the projections: queries, keys, values.
    """

    def __init__(self, dim: int, heads: int, *, scaled: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.heads, self.scale = heads, math.sqrt(dim // heads) if scaled else 1.0
        self.query, self.key, self.value = (embedding_table(dim, dim, generator) for _ in range(3))

    def forward(self, x: Tensor, edges: Pattern) -> Tensor:
        """What each node [n, d] receives along `edges`, whose rows are the receivers: [n, d]."""
        queries, keys, values = (
            (x @ matrix).chunk(self.heads, 1) for matrix in (self.query / self.scale, self.key, self.value)
        )
        heads = zip(queries, keys, values, strict=True)
        return torch.cat([self._head(query, key, value, edges) for query, key, value in heads], 1)

    def _head(self, query: Tensor, key: Tensor, value: Tensor, edges: Pattern) -> Tensor:
        powers = edges.dots(query, key).clamp(-LIMIT, LIMIT).exp()
        return edges.mean(powers, value, epsilon=GUARD)
