"""The parts of a variant's augmentation, and how a control treats each: left out, replaced, or drawn from the seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

EdgeTreatment = Literal["as-is", "none", "random", "random-candidates", "shuffled"]
ProfileTreatment = Literal["as-is", "none", "shuffled", "random", "constant"]
AttributeTreatment = Literal["as-is", "none", "shuffled"]

PARTS = ("edges", "profiles", "attributes")
DRAWN = ("shuffled", "random", "random-candidates")
"""Treatments that depend on the training seed: another draw is another augmentation."""
WITHOUT_CONTENT = (*DRAWN, "constant")
"""Treatments that keep the scale of a part and lose its content."""


def treatment(variant: Mapping[str, Any], part: str) -> str:
    """How a variant (or arm) treats a part of its source's augmentation; `none` without a source."""
    return str(variant.get(part) or "as-is") if variant.get("source") else "none"


def is_drawn(variant: Mapping[str, Any]) -> bool:
    """Whether what a variant is given depends on the training seed."""
    return any(treatment(variant, part) in DRAWN for part in PARTS)


def training_seeds(variant: Mapping[str, Any], seeds: Iterable[int]) -> list[int]:
    """The seeds a variant is trained with: its own, or those of the run.

    A drawn control with fewer seeds of its own than the run has is trained with those of the run: one draw says
    nothing of the others, also where the model itself is in closed form.

    Args:
        variant: its entry in the config, as plain values.
        seeds: those of the run.
    """
    own, common = list(variant.get("seeds") or ()), list(seeds)
    return common if not own or (is_drawn(variant) and len(own) < len(common)) else own
