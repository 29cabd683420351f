"""LightGCN in the published code: the sum of layers, over edges of which each step drops some without scaling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.rlmrec_parity.backbone import Backbone, Queues, Step, tensors
from benchmarks.rlmrec_parity.expected import Figures


def lightgcn_options(figures: Figures) -> Mapping[str, Any]:
    """Our options of propagation."""
    return {"layers": figures.of_model("layer_num"), "edge_keep": figures.of_model("keep_rate")}


def kept_edges(step: Step) -> Queues:
    """Which entries are kept, a mask for each pass over a graph of its own."""
    return {"edges": tensors(step.draw("edge_keep")[:, step.edge_order])} if "edge_keep" in step.draws else {}


LIGHTGCN = Backbone("lightgcn", lightgcn_options, queues=kept_edges)
