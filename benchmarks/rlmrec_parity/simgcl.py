"""SimGCL in the published code: two passes with noise on each layer, and the contrast between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from augrec.artefacts.errors import DataError
from benchmarks.rlmrec_parity.backbone import Backbone, Queues, Step, tensors
from benchmarks.rlmrec_parity.expected import Figures
from benchmarks.rlmrec_parity.sgl import TERMS, contrast_options, contrast_parts
from recsys.batches.triplets import Triplets


def _options(figures: Figures) -> Mapping[str, Any]:
    if figures.of_model("keep_rate") != 1:
        raise DataError(f"the settings of '{figures.model}' drop edges, which SimGCL here does not", where=figures.path)
    return {
        "layers": figures.of_model("layer_num"),
        "noise": figures.of_model("eps"),
        **contrast_options(figures),
    }


def _queues(step: Step) -> Queues:
    """Recorded view by view, drawn here layer by layer."""
    noise = step.draw("noise")
    return {"noise": tensors(np.swapaxes(noise, 0, 1).reshape(-1, *noise.shape[2:]))}


def _parts(model: Any, passed: Any, batch: Triplets) -> Mapping[str, list[Tensor]]:
    return contrast_parts(model, passed, batch, negatives=False)


SIMGCL = Backbone("simgcl", _options, terms=TERMS, queues=_queues, parts=_parts)
