"""Options of CL4SRec."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from recsys.models.options.sasrec import NextItemOptions


class Cl4SrecOptions(NextItemOptions):
    """CL4SRec: SASRec, and a contrast between two disturbed views of every sequence."""

    family: Literal["cl4srec"] = "cl4srec"
    contrast: NonNegativeFloat = 0.05
    """Weight of the contrast (`lambda`); 0 makes no views."""
    contrast_temperature: PositiveFloat = 1.0
    """Temperature of its similarities."""
    cosine: bool = False
    """Whether similarities are cosines; the paper has inner products."""
    crop: float = Field(0.5, gt=0, le=1)
    """Share of a sequence that a cropped view keeps (`eta`)."""
    hide: float = Field(0.5, ge=0, le=1)
    """Share of the items that are hidden in a view of hidden items (`gamma`)."""
    reorder: float = Field(0.5, ge=0, le=1)
    """Share of a sequence that stands in another order in a reordered view (`beta`)."""
