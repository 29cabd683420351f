"""Options of LightGCN."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from recsys.aligners.registry import Alignment
from recsys.models.options.base import EdgeAugmentation, FamilyOptions, SideAugmentation


class LightGcnOptions(FamilyOptions, EdgeAugmentation, SideAugmentation, Alignment):
    """LightGCN: linear propagation on the normalised user-item graph."""

    family: Literal["lightgcn"] = "lightgcn"
    dim: PositiveInt = 64
    """Length of an embedding."""
    layers: NonNegativeInt = 3
    """Propagation steps; 0 is matrix factorisation."""
    l2: NonNegativeFloat = 1e-4
    """Weight of the penalty on the batch's embeddings before propagation."""
    l2_kind: Literal["squared", "norm"] = "squared"
    """As for `mf_bpr`."""
