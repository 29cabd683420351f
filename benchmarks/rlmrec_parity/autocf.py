"""AutoCF in the published code, with the graphs that follow from its draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.result import Result
from benchmarks.rlmrec_parity.backbone import Backbone, Queues, Step, tensors
from benchmarks.rlmrec_parity.expected import Figures
from recsys.models.autocf import AutoCF
from recsys.models.parts.graph_recommender import GraphRecommender, Propagated

DRAWS = {
    "noise": "gumbel_uniform",
    "random nodes": "random_nodes",
    "pair rows": "pair_rows",
    "pair columns": "pair_cols",
}
PARTS = ("row", "col", "value")
LIMITS = {"scores": 1e-5, "encoder_value": 1e-5}
"""How far what is not a node may be off."""


def _options(figures: Figures) -> Mapping[str, Any]:
    return {
        "layers": figures.of_model("gcn_layer"),
        "attention_layers": figures.of_model("gt_layer"),
        "heads": figures.of_model("head_num"),
        "seeds": figures.of_model("seed_num"),
        "mask_depth": figures.of_model("mask_depth"),
        "masked_share": figures.of_model("keep_rate"),
        "redraw_every": figures.of_model("fix_steps"),
        "contrast": figures.of_model("ssl_reg"),
    }


def _parameters(figures: Figures) -> Mapping[str, str]:
    layers = range(figures.of_model("gt_layer"))
    ours = {"qTrans": "query", "kTrans": "key", "vTrans": "value"}
    return {
        f"gtLayers.{layer}.{theirs}": f"attention.{layer}.{name}" for layer in layers for theirs, name in ours.items()
    }


def _queues(step: Step) -> Queues:
    return {ours: tensors(step.draw(theirs)[None]) for ours, theirs in DRAWS.items() if theirs in step.draws}


def _parts(model: AutoCF, passed: Propagated, batch: Any) -> Mapping[str, list[Tensor]]:
    return {"contrast": list(model.log_sums(*passed.final, batch))}


def _derived(model: GraphRecommender, step: Step) -> list[Result]:
    """Scores, seeds and both graphs of a step that draws."""
    assert isinstance(model, AutoCF)
    if not model.draws_now:
        return []
    masked = model.masked
    assert masked is not None
    encoder, decoder = masked.graphs.encoder, masked.graphs.decoder
    users, items = encoder.row.numpy(), encoder.column.numpy() + model.sizes[0]
    both_ways = np.concatenate([users, items]), np.concatenate([items, users])
    scores = model.graphs.closeness(model.table()) + masked.noise
    found = {
        "scores": scores.detach().numpy(),
        "seeds": masked.seeds.numpy(),
        **_entries("encoder", *both_ways, np.tile(masked.graphs.values.numpy(), 2)),
        **_entries("decoder", decoder.row.numpy(), decoder.column.numpy()),
    }
    expected = step.figures.under(f"derived/{step.number}/")
    for graph, parts in (("encoder", PARTS), ("decoder", PARTS[:2])):
        names = [f"{graph}_{part}" for part in parts]
        if all(name in expected for name in names):
            expected |= _entries(graph, *(expected[name] for name in names))
    prefix = f"{step.figures.model}/derived/{step.number}"
    return [
        Result.at_most(f"{prefix}/{name}", _difference(found[name], array), LIMITS.get(name, 0), "absolute")
        for name, array in expected.items()
        if name in found
    ]


def _entries(graph: str, row: np.ndarray, column: np.ndarray, *values: np.ndarray) -> dict[str, np.ndarray]:
    """The entries of a graph in the order of their places: files have them in any."""
    order = np.lexsort((column, row))
    return {f"{graph}_{part}": array[order] for part, array in zip(PARTS, (row, column, *values), strict=False)}


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found.astype(np.float64) - expected).max(initial=0.0))


AUTOCF = Backbone(
    "autocf",
    _options,
    _parameters,
    {"recovery": "rec", "contrast": "cl", "infomax": "infomax", "l2": "reg"},
    _queues,
    _parts,
    _derived,
)
