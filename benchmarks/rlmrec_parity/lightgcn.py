"""LightGCN in the published code: the sum of layers, over edges of which each step drops some without scaling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.rlmrec_parity.backbone import Backbone, Queues, Step, tensors
from benchmarks.rlmrec_parity.expected import Figures


def _options(figures: Figures) -> Mapping[str, Any]:
    return {"layers": figures.of_model("layer_num"), "edge_keep": figures.of_model("keep_rate")}


def _queues(step: Step) -> Queues:
    return {"edges": tensors(step.draw("edge_keep")[:, step.edge_order])} if "edge_keep" in step.draws else {}


LIGHTGCN = Backbone("lightgcn", _options, queues=_queues)
