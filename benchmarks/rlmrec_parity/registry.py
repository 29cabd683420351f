"""The backbones of the published code by its names. Adding one is a file with its `Backbone`, and one entry here."""

from __future__ import annotations

from augrec.artefacts.errors import DataError
from benchmarks.rlmrec_parity.aligners import ALIGNMENTS, Alignment
from benchmarks.rlmrec_parity.autocf import AUTOCF
from benchmarks.rlmrec_parity.backbone import Backbone
from benchmarks.rlmrec_parity.dccf import DCCF_BACKBONE
from benchmarks.rlmrec_parity.gccf import GCCF
from benchmarks.rlmrec_parity.lightgcn import LIGHTGCN
from benchmarks.rlmrec_parity.sgl import SGL
from benchmarks.rlmrec_parity.simgcl import SIMGCL

BACKBONES: dict[str, Backbone] = {
    "gccf": GCCF,
    "lightgcn": LIGHTGCN,
    "sgl": SGL,
    "simgcl": SIMGCL,
    "dccf": DCCF_BACKBONE,
    "autocf": AUTOCF,
}


def backbone_of(model: str) -> tuple[Backbone, Alignment]:
    """The backbone and the aligner of a model's name, e.g. lightgcn_plus.

    Raises:
        DataError: there is no such model here.
    """
    for aligner in ALIGNMENTS:
        name = model.removesuffix(aligner.suffix)
        if model.endswith(aligner.suffix) and name in BACKBONES:
            return BACKBONES[name], aligner
    raise DataError(f"there is no model here for '{model}'", remedy=f"backbones are {', '.join(BACKBONES)}")
