"""Options of CLCRec."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from recsys.models.options.base import EdgeAugmentation, FamilyOptions, ModalityOptions


class ClcrecOptions(FamilyOptions, ModalityOptions, EdgeAugmentation):
    """CLCRec: contrastive learning of ID embeddings and features, so that new items have a place too.

    Defaults are those the authors give for MovieLens. Names in brackets are the published code's.
    """

    family: Literal["clcrec"] = "clcrec"
    dim: PositiveInt = 64
    """Length of an embedding."""
    hidden_dim: PositiveInt = 256
    """Width of the feature encoder's hidden layer."""
    negatives: PositiveInt = 128
    """Negatives that a step draws beside those of its triplets (`num_neg`)."""
    feature_share: float = Field(0.5, ge=0, lt=1)
    """Weight of the contrast between embeddings and features against that between users and items (`lr_lambda`)."""
    replaced: float = Field(0.5, ge=0, le=1)
    """Chance that an item stands with its features in the contrast between users and items (`num_sample`)."""
    temperature: PositiveFloat = 2.0
    """Temperature of both contrasts (`temp_value`)."""
    l2: NonNegativeFloat = 0.1
    """Weight of the mean length of the step's ID embeddings, unsquared (`reg_weight`)."""
