"""Passes over the graph with noise on every layer, beside the pass without.

Noise `e sign(x) U / |U|` depends on x by a sign alone, so its derivative is zero wherever it exists: the gradient of
a noisy pass is that of the pass without noise, the same linear map. Three passes therefore have one backward pass, of
the sum of their gradients. Their first product is the same, and the others are one product of three times the width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from recsys.graph.smoothing import Pooling, SmoothingGraph, sum_of_powers

Tables = tuple[Tensor, Tensor]
Noise = Callable[[], Tables]


def noisy_views(
    graph: SmoothingGraph,
    users: Tensor,
    items: Tensor,
    *,
    layers: int,
    pooling: Pooling,
    first: Literal[0, 1],
    length: float,
    noise: Noise,
) -> tuple[Tables, Tables, Tables]:
    """Users [n_users, d] and items [n_items, d] after a pass without noise, and after two with.

    Args:
        graph: the whole graph.
        users, items: before propagation.
        layers, pooling, first: as of `SmoothingGraph.forward`; there is at least one layer.
        length: e, of the noise on each row.
        noise: gives U of the next layer for the two passes, each [n_users + n_items, d], uniform in [0, 1).
    """
    scale = 1.0 / (layers + 1 - first) if pooling == "mean" else 1.0
    users, items = graph.hop.cast(users), graph.hop.cast(items)
    found = _NoisyViews.apply(users, items, graph, layers, first, scale, length, noise)
    return found[0:2], found[2:4], found[4:6]


class _NoisyViews(torch.autograd.Function):
    """See the module."""

    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        items: Tensor,
        graph: SmoothingGraph,
        layers: int,
        first: int,
        scale: float,
        length: float,
        noise: Noise,
    ) -> tuple[Tensor, ...]:
        ctx.given = graph, layers, first, scale
        ctx.set_materialize_grads(False)
        hops, width = graph.whole, users.shape[1]
        x, y = users, items
        sums = [(1 - first) * table.repeat(1, 3) for table in (users, items)]
        for layer in range(layers):
            x, y = hops.to_users(y, None, 1.0), hops.to_items(x, None, 1.0)
            if not layer:  # alike in all three until now
                x, y = x.repeat(1, 3), y.repeat(1, 3)
            for place, drawn in enumerate(noise(), start=1):
                columns = slice(place * width, (place + 1) * width)
                unit = F.normalize(drawn.to(x))
                for table, part in zip((x, y), unit.split([len(x), len(y)]), strict=True):
                    table[:, columns] += length * table[:, columns].sign() * part
            sums[0] += x
            sums[1] += y
        parts = [(scale * table).split(width, dim=1) for table in sums]
        return tuple(parts[side][place].contiguous() for place in range(3) for side in range(2))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        graph, layers, first, scale = ctx.given
        like = next(gradient for gradient in gradients if gradient is not None)

        def joined(side: int) -> Tensor:
            """Of what the passes' embeddings of users or of items were given; the three are one linear map."""
            given = [gradient for gradient in gradients[side::2] if gradient is not None]
            return torch.stack(given).sum(0) if given else like.new_zeros(graph.hop.shape[side], like.shape[1])

        users, items = sum_of_powers(joined(0), joined(1), graph.whole, layers, first, scale)
        return users, items, None, None, None, None, None, None
