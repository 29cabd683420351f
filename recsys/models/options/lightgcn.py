"""Options of LightGCN."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from recsys.models.options.pairwise_graph import PairwiseGraphOptions


class LightGcnOptions(PairwiseGraphOptions):
    """LightGCN: linear propagation on the normalised user-item graph."""

    quirks: ClassVar = {"pooling": "sum", "edge_keep": 0.8, "rescale": False, "l2_kind": "all"}

    family: Literal["lightgcn"] = "lightgcn"
    pooling: Literal["mean", "sum"] = "mean"
    """What becomes of the layers' embeddings; RLMRec's code sums them."""
    edge_keep: float = Field(1.0, gt=0, le=1)
    """The chance that an entry of the graph takes part in a training step, drawn for both directions of an edge
    separately and for all layers at once; 1 drops none. RLMRec's code has 0.8."""
    rescale: bool = True
    """Whether what `edge_keep` leaves is divided by it, so that a sum over neighbours keeps its expectation; not in
    RLMRec's code."""
