"""Options of MF-BPR."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveInt

from recsys.models.options.base import EdgeAugmentation, FamilyOptions, SideAugmentation


class MfBprOptions(FamilyOptions, EdgeAugmentation, SideAugmentation):
    """Matrix factorisation with the BPR loss."""

    family: Literal["mf_bpr"] = "mf_bpr"
    dim: PositiveInt = 64
    """Length of an embedding."""
    l2: NonNegativeFloat = 1e-4
    """Weight of the penalty on the embeddings of the batch."""
    l2_kind: Literal["squared", "norm"] = "squared"
    """`squared`: half the sum of squares per triplet (LightGCN's code); `norm`: the three unsquared Frobenius norms of
    the batch, divided by its size."""
