"""What the options of models have in common that tell two views of the graph from each other's nodes."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from recsys.models.options.pairwise_graph import PairwiseGraphOptions


class ViewContrastOptions(PairwiseGraphOptions):
    """LightGCN, and a contrast between two disturbed passes over the graph."""

    pooling: Literal["mean", "sum"] = "mean"
    """What becomes of the layers' embeddings; RLMRec's code sums them."""
    contrast: NonNegativeFloat = 0.1
    """Weight of the contrast (`cl_weight`)."""
    contrast_temperature: PositiveFloat = 0.2
    """Temperature of its cosines (`temperature`, with an aligner `cl_temperature`)."""
