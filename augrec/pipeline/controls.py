"""The parts of a variant's augmentation, and how a control treats each: left out, replaced, or drawn from the seed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

EdgeTreatment = Literal["as-is", "none", "random", "random-candidates", "shuffled"]
ProfileTreatment = Literal["as-is", "none", "shuffled", "random", "constant"]
AttributeTreatment = Literal["as-is", "none", "shuffled"]

PARTS = ("edges", "profiles", "attributes")
PART_TASKS = {"edges": "edges", "profiles": "user_profile", "attributes": "item_attributes"}
"""The task whose answers a part is made from."""
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


def unmade_part(variant: Mapping[str, Any], made: Collection[str]) -> str | None:
    """What a variant is to be given and nobody makes, as `part: why, and what to do`; None where all is made.

    `as-is` takes profiles and attributes as far as there are any, as long as something is taken at all. Edges, and
    every control, must have something to be made from.

    Args:
        variant: its entry in the config, as plain values.
        made: the tasks of its source.
    """
    source = variant.get("source")
    chosen = {part: str(variant.get(part) or "as-is") for part in PARTS}
    if source is None:
        control = next((part for part, how in chosen.items() if how not in ("as-is", "none")), None)
        remedy = "name one in `source`, or leave this out"
        return f"{control}: {chosen[control]} {control} are made from those of a source; {remedy}" if control else None
    has = f"source '{source}' has the tasks {', '.join(made)}"
    wanted = {part: how for part, how in chosen.items() if how != "none"}
    unmade = {part: how for part, how in wanted.items() if PART_TASKS[part] not in made}
    for part, how in unmade.items():
        if part == "edges" or how != "as-is" or len(unmade) == len(wanted):
            task = PART_TASKS[part]
            return (
                f"{part}: {how}, and nobody makes any: the {has}, not {task}; add it to "
                f"generation.sources.{source}.tasks, or set `{part}: none`"
            )
    return None
