"""DCCF in the published code: the items' part of the contrast is divided by the number of users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from benchmarks.rlmrec_parity.backbone import Backbone
from benchmarks.rlmrec_parity.expected import Figures
from recsys.models.dccf import DCCF
from recsys.models.parts.graph_recommender import Propagated


def _options(figures: Figures) -> Mapping[str, Any]:
    return {
        "layers": figures.of_model("layer_num"),
        "intents": figures.of_model("intent_num"),
        "contrast": figures.of_model("cl_weight"),
        "temperature": figures.of_model("cl_temperature", "temperature"),
    }


def _parts(model: DCCF, passed: Propagated, batch: Any) -> Mapping[str, list[Tensor]]:
    return {"infonce": [value for layer in model.sums(passed, batch) for side in layer for value in side]}


DCCF_BACKBONE = Backbone(
    "dccf",
    _options,
    lambda figures: {"user_intent": "user_intents", "item_intent": "item_intents"},
    {"bpr": "bpr", "l2": "reg", "contrast": "cl"},
    parts=_parts,
)
