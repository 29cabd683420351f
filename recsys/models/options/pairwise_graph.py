"""What the options of graph models that are trained on pairs have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from recsys.aligners.options import AlignerOptions
from recsys.aligners.registry import ALIGNERS, Alignment
from recsys.models.options.base import EdgeAugmentation, FamilyOptions, SideAugmentation
from recsys.quirks import Released


class PairwiseGraphOptions(FamilyOptions, EdgeAugmentation, SideAugmentation, Alignment, Released):
    """Embeddings of users and items, propagated over their graph and trained by BPR, with or without an aligner.

    Whatever the aligner, the defaults are the same: a difference between two models is then the aligner's.
    """

    aligner_quirks: ClassVar[Mapping[str, Any]] = {}
    """Options of aligners in which the published code of this backbone differs from that of the others."""

    dim: PositiveInt = 64
    """Length of an embedding."""
    layers: NonNegativeInt = 3
    """Propagation steps; 0 is matrix factorisation."""
    l2: NonNegativeFloat = 1e-4
    """Weight of the penalty."""
    l2_kind: Literal["squared", "norm", "all"] = "squared"
    """`squared`, `norm`: of the batch's embeddings before propagation, as for `mf_bpr`. `all`: the squares of all
    parameters, those of the aligner included, summed and not divided; RLMRec's code."""

    @classmethod
    def as_released(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """See `Released.as_released`; an aligner that has quirks of its own is released too."""
        filled = super().as_released(given)
        aligner = given.get("aligner")
        if isinstance(aligner, AlignerOptions):
            aligner = {"kind": aligner.kind, **aligner.model_dump(exclude_unset=True)}
        if not isinstance(aligner, Mapping) or aligner.get("kind") not in ALIGNERS:
            return filled
        options = ALIGNERS[aligner["kind"]].options
        if not issubclass(options, Released):
            return filled
        known = {name: value for name, value in cls.aligner_quirks.items() if name in options.model_fields}
        return {**filled, "aligner": {**known, "released": True, **aligner}}
