"""Options of GRCN."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from recsys.models.options.base import EdgeAugmentation, FamilyOptions, ModalityOptions, SideAugmentation


class GrcnOptions(FamilyOptions, ModalityOptions, EdgeAugmentation, SideAugmentation):
    """GRCN: propagation on a graph whose edge weights are learned from item features."""

    family: Literal["grcn"] = "grcn"
    dim: PositiveInt = 64
    """Length of an ID embedding."""
    feature_dim: PositiveInt = 64
    """Length of a preference and of projected features, for each modality."""
    layers: NonNegativeInt = 2
    """Propagations of the ID embeddings on the refined graph."""
    routing: NonNegativeInt = 3
    """How often a preference moves towards the features of its user's items. 0 leaves it as it is; so does the
    published code at any number, as its messages run from users to items there."""
    weights: Literal["confidence", "max", "mean"] = "confidence"
    """How an edge's weight comes from its affinities in each modality: the largest after each is multiplied by the
    sender's learned confidence in that modality, the largest, or the mean."""
    pruning: bool = True
    """Negative weights become zero, which removes the edge. Affinities are positive: only `confidence` is changed."""
    fusion: Literal["concat", "mean", "id"] = "concat"
    """Final embedding: ID part and modalities side by side, their mean, or the ID part alone."""
    l2: NonNegativeFloat = 1e-4
    """Weight of the penalty on the batch's rows of ID embeddings and preferences."""

    @model_validator(mode="after")
    def _one_length(self) -> GrcnOptions:
        if self.fusion == "mean" and self.dim != self.feature_dim:
            raise ValueError(f"fusion mean needs one length, not dim {self.dim} and feature_dim {self.feature_dim}")
        return self
