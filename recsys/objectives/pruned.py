"""The BPR loss over a part of the batch, chosen by how well each triplet is already ranked."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Keep = Literal["hard", "easy", "all"]
MARGIN_EPSILON = 1e-8  # the reference's; without effect in float32 unless the margin is tiny


def pruned(
    user: Tensor, positive: Tensor, negative: Tensor, *, rate: float, keep: Keep = "hard", weight: Tensor | None = None
) -> Tensor:
    """`-mean ln sigmoid(u.p - u.n + 1e-8)` over the kept triplets, for one or several embeddings per triplet.

    Source: LLMRec (Wei et al., WSDM 2024), equation 7. Its text speaks of pruning noisy triplets; the equation and the
    code keep the smallest ln sigmoid, which are the hardest triplets.

    Args:
        user, positive, negative: [b, d], or [b, ..., d] for several terms, each pruned independently; they broadcast.
        rate: the share of the batch that is left out, in [0, 1); int((1 - rate) * b) triplets stay, at least one.
        keep: `hard` keeps the worst ranked, `easy` the best ranked, `all` every triplet whatever the rate.
        weight: [b], non-negative; the mean over the kept triplets is weighted by it, its scale does not matter.

    Returns:
        A scalar, or [...] for several terms.
    """
    values = F.logsigmoid((user * (positive - negative)).sum(-1) + MARGIN_EPSILON)
    size = len(values)
    kept = size if keep == "all" else max(int((1 - rate) * size), 1)
    if kept < size:
        values, order = values.topk(kept, dim=0, largest=keep == "easy", sorted=False)
    if weight is None:
        return -values.mean(0)
    weight = weight[order] if kept < size else weight.view(-1, *[1] * (values.dim() - 1))
    return -(weight * values).sum(0) / weight.sum(0).clamp_min(1e-12)
