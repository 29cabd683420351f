"""What the comparison has to know of the aligners, which is the same for every backbone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from benchmarks.rlmrec_parity.backbone import Queues, Step, tensors
from benchmarks.rlmrec_parity.expected import Figures
from recsys.aligners.base import Embeddings
from recsys.aligners.con import Con
from recsys.aligners.gen import Gen

MLP = {f"mlp.{layer}.{kind}": f"aligner.mlp.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")}


@dataclass(frozen=True)
class Alignment:
    """An aligner of the published code and ours.

    Attributes:
        suffix: what the code's model names end in.
        options: ours beside `released`, from the code's settings.
        parameters: our name of each of its parameters; a name ending in a star stands for any before it.
        terms: its name of each of our terms.
        queues: the draws of a step by our names.
        parts: values inside its term, by the code's name of the group.
    """

    suffix: str
    options: Callable[[Figures], Mapping[str, Any]]
    parameters: Mapping[str, str]
    terms: Mapping[str, str]
    queues: Callable[[Step], Queues]
    parts: Callable[[Any, Embeddings, Any, Any], Mapping[str, list[Tensor]]]


def _con_parts(aligner: Con, final: Embeddings, batch: Any, draw: Any) -> Mapping[str, list[Tensor]]:
    return {"infonce": list(aligner.sums(final, batch, draw).values())}


def _gen_parts(aligner: Gen, final: Embeddings, batch: Any, draw: Any) -> Mapping[str, list[Tensor]]:
    return {"recon": [aligner.mean(final)]}


NONE = Alignment("", lambda figures: {"kind": "none"}, {}, {}, lambda step: {}, lambda *_: {})
CON = Alignment(
    "_plus",
    lambda figures: {
        "kind": "con",
        "weight": figures.of_model("kd_weight"),
        "temperature": figures.of_model("kd_temperature"),
    },
    MLP,
    {"con": "kd"},
    lambda step: {},
    _con_parts,
)
GEN = Alignment(
    "_gene",
    lambda figures: {
        "kind": "gen",
        "weight": figures.of_model("recon_weight"),
        "temperature": figures.of_model("re_temperature"),
        "hidden": figures.of_model("mask_ratio"),
    },
    {**MLP, "masker.mask_token": "aligner.token", "gene_masker.mask_token": "aligner.token"},
    {"gen": "recon"},
    lambda step: {"hidden": tensors(step.draw("masked_nodes")[None])},
    _gen_parts,
)
ALIGNMENTS = (CON, GEN, NONE)
"""In the order in which a model's name is tried for their suffix."""
