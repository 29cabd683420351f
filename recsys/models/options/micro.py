"""Options of MICRO."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from recsys.models.options.item_graph import ItemGraphOptions


class MicroOptions(ItemGraphOptions):
    """MICRO: latent item graphs from each modality, fused by attention and a contrastive loss."""

    family: Literal["micro"] = "micro"
    contrast: NonNegativeFloat = 0.03
    """Weight of the contrastive loss between each modality's item embeddings and the fused ones."""
    temperature: PositiveFloat = 0.5
    """Temperature of that loss."""
    contrast_items: Literal["all", "batch"] = "all"
    """Which items it is summed over and has as negatives: all, as published, at a cost quadratic in their number in
    every step; or those of the batch."""
