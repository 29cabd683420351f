"""Graphs that join each row of a feature matrix to the rows most like it: fixed ones, and ones that learn.

The search compares all pairs, n^2 d operations in blocks of bounded memory. What follows it costs only the edges found,
so a learned graph may be searched now and then and its weights computed in every step.
"""

from __future__ import annotations

import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor

from recsys.gather import lookup
from recsys.graph.adjacency import Operator
from recsys.graph.weighted import Pattern

BLOCK = 2**22  # pairs in memory at a time, some 30 bytes each
RESOLUTION = 2**20  # cosines that differ by less than a millionth are ties: rounding differs between machines
NEVER_CHOSEN = torch.iinfo(torch.int64).min  # the rank of what is not to be chosen


def ranked(similarities: Tensor) -> Tensor:
    """int64 [b, n], larger for larger similarities in [-1, 1] and, where these are tied, for lower columns."""
    count = similarities.shape[1]
    preference = torch.arange(count - 1, -1, -1, device=similarities.device)
    return (similarities * RESOLUTION).round().long() * count + preference


@torch.no_grad()
def nearest(features: Tensor, k: int, *, include_self: bool = True) -> Tensor:
    """The k rows of the largest cosine to each row, as edges int64 [m, 2] of (row, neighbour), sorted by row.

    Ties go to the lower row, so the result depends neither on the block size nor on the order of a sum. A row of zeros
    has no direction: it has no neighbours and is nobody's. With fewer than k rows to choose from, all are neighbours.

    Args:
        features: [n, d].
        k: neighbours per row.
        include_self: whether a row is its own first neighbour, and counts as one of the k.
    """
    with torch.autocast(features.device.type, enabled=False):
        unit = F.normalize(features.float(), dim=1)
        present = unit.any(1).nonzero()[:, 0]
        unit, count = unit[present], len(present)
        k = min(k, count if include_self else count - 1)
        if k <= 0:
            return present.new_zeros(0, 2)
        own = torch.arange(count, device=present.device)
        found = []
        for rows in own.split(max(1, BLOCK // count)):
            ranks = ranked(unit[rows] @ unit.T)
            ranks[rows - rows[0], rows] = torch.iinfo(torch.int64).max if include_self else NEVER_CHOSEN
            found.append(ranks.topk(k, dim=1).indices)
    neighbours = present[torch.cat(found)].sort(1).values
    return torch.stack([present[:, None].expand_as(neighbours), neighbours], 2).reshape(-1, 2)


def knn_pattern(features: Tensor, k: int, *, include_self: bool = True) -> Pattern:
    """The places [n, n] of `nearest`'s edges, on the device of `features`."""
    edges = nearest(features, k, include_self=include_self).cpu().numpy()
    return Pattern(edges, len(features), len(features)).to(features.device)


def cosines(features: Tensor, pattern: Pattern) -> Tensor:
    """The cosine of each edge's two rows [m], negative ones as 0; carries a gradient to `features` [n, d]."""
    unit = F.normalize(features, dim=1)
    return pattern.dots(unit, unit).clamp_min(0)


def row_sums(values: Tensor, pattern: Pattern) -> Tensor:
    """The sums [n, 1] of the values [m] over the edges of each row."""
    return pattern.product(values, values.new_ones(pattern.shape[1], 1))


def symmetric(values: Tensor, pattern: Pattern, degree: Tensor | None = None) -> Tensor:
    """`D^-1/2 W D^-1/2` for the values [m] of W; rows that sum to 0 stay zero. Differentiable.

    `degree` [n, 1] takes the place of W's own row sums, where W is one part of a graph.
    """
    degree = row_sums(values, pattern) if degree is None else degree
    positive = degree > 0
    scale = torch.where(positive, torch.where(positive, degree, 1.0) ** -0.5, 0.0)
    return values * (lookup(scale, pattern.row) * lookup(scale, pattern.column))[:, 0]


def knn_operator(features: Tensor, k: int, *, include_self: bool = True, weighted: bool = True) -> Operator:
    """The constant matrix `D^-1/2 W D^-1/2` [n, n] of the k nearest rows, on the CPU.

    Args:
        features: [n, d], a row of zeros where there is none.
        k, include_self: see `nearest`.
        weighted: whether W holds the cosines (negative ones as 0) or ones.
    """
    pattern = knn_pattern(features.cpu().double(), k, include_self=include_self)
    values = cosines(features.cpu().double(), pattern)
    values = symmetric(values if weighted else torch.ones_like(values), pattern)
    return Operator(sp.coo_array((values.numpy(), (pattern.row.numpy(), pattern.column.numpy())), pattern.shape))
