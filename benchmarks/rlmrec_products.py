"""The matrix products that RLMRec's exact losses cannot do without, and nothing else: the least that a step takes.

Of -Con, texts s [n, t] pass through a network with h hidden units to d numbers, and the gradients of its two matrices
come back; s itself needs none. The weights are others in every step, and so is every hidden value: n (4 t h + 6 h d)
operations. Of -Gen, k hidden nodes pass through the network the other way, d to h to t, with gradients of what goes in,
and are compared with each other's texts, there and back: 6 k (d h + h t) + 4 k k t. Blocks and recomputing save memory
and no operation; recomputing adds some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch


class Products(NamedTuple):
    """Of one training step."""

    work: Callable[[], None]
    """Does them once."""
    operations: int
    """Multiplications and additions."""


def con_products(texts: int, length: int, dim: int) -> Products:
    """Of -Con.

    Args:
        texts: how many texts pass through the network.
        length: of a text's vector.
        dim: of an embedding.
    """
    hidden = (length + dim) // 2
    s, first, second = torch.rand(texts, length), torch.rand(hidden, length), torch.rand(dim, hidden)
    inner, outer = torch.rand(texts, hidden), torch.rand(texts, dim)

    def work() -> None:
        _ = s @ first.T, inner @ second.T  # there
        _ = outer.T @ inner, outer @ second, inner.T @ s  # and back

    return Products(work, texts * hidden * (4 * length + 6 * dim))


def gen_products(nodes: int, length: int, dim: int) -> Products:
    """Of -Gen; see `con_products`.

    Args:
        nodes: how many are hidden.
        length: of a text's vector.
        dim: of an embedding.
    """
    hidden = (length + dim) // 2
    rows, first, second = torch.rand(nodes, dim), torch.rand(hidden, dim), torch.rand(length, hidden)
    inner, outer, likeness = torch.rand(nodes, hidden), torch.rand(nodes, length), torch.rand(nodes, nodes)

    def work() -> None:
        _ = rows @ first.T, inner @ second.T, outer @ outer.T  # there
        _ = likeness @ outer, outer.T @ inner, outer @ second, inner.T @ rows, inner @ first  # and back

    return Products(work, nodes * (6 * hidden * (dim + length) + 4 * nodes * length))
