"""SGL in the published code: two passes over graphs with edges left out, and the contrast between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from benchmarks.rlmrec_parity.backbone import Backbone
from benchmarks.rlmrec_parity.expected import Figures
from benchmarks.rlmrec_parity.lightgcn import kept_edges, lightgcn_options
from recsys.batches.triplets import Triplets
from recsys.models.parts.views import Views, agreement

TERMS = {"bpr": "bpr", "l2": "reg", "contrast": "cl"}


def contrast_options(figures: Figures) -> Mapping[str, Any]:
    """Our options of the contrast."""
    temperature = figures.of_model("temperature", "cl_temperature")
    return {"contrast": figures.of_model("cl_weight"), "contrast_temperature": temperature}


def contrast_parts(model: Any, passed: Views, batch: Triplets, *, negatives: bool) -> Mapping[str, list[Tensor]]:
    """Each sum inside the contrast."""
    first, second, t = passed.first, passed.second, model.options.contrast_temperature
    parts = [agreement(first.users, second.users, batch.user, t)]
    for ids in (batch.positive, batch.negative)[: 1 + negatives]:
        parts.append(agreement(first.items, second.items, ids, t))
    return {"infonce": parts}


def _options(figures: Figures) -> Mapping[str, Any]:
    return {**lightgcn_options(figures), **contrast_options(figures)}


def _parts(model: Any, passed: Any, batch: Triplets) -> Mapping[str, list[Tensor]]:
    return contrast_parts(model, passed, batch, negatives=True)


SGL = Backbone("sgl", _options, terms=TERMS, queues=kept_edges, parts=_parts)
