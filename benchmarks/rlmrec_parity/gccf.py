"""GCCF in the published code: self-loops without an aligner, none with one, and weights that only the penalty reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.rlmrec_parity.backbone import Backbone
from benchmarks.rlmrec_parity.expected import Figures


def _options(figures: Figures) -> Mapping[str, Any]:
    return {"layers": figures.of_model("layer_num")}


def _parameters(figures: Figures) -> Mapping[str, str]:
    return {f"gcnLayers.{layer}.W": f"unused.{layer}" for layer in range(figures.of_model("layer_num"))}


GCCF = Backbone("gccf", _options, _parameters)
