"""What a variant receives of each task's answers: as they are, nothing, or a control that keeps the amount alone.

A variant, or an arm of a comparison, names tasks in `change: {TASK: TREATMENT}`; of a task that it does not name it
receives the answers as they are. Which treatments there are follows from what the task gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

Treatment = Literal["as-is", "none", "shuffled", "random", "random-candidates", "constant", "interactions"]

AS_IS, NONE, SHUFFLED, INTERACTIONS = "as-is", "none", "shuffled", "interactions"
ALLOWED: Mapping[str, tuple[Treatment, ...]] = {
    "text": ("as-is", "none", "shuffled", "random", "constant", "interactions"),
    "attributes": ("as-is", "none", "shuffled"),
    "edges": ("as-is", "none", "random", "random-candidates", "shuffled"),
    "insertions": ("as-is", "none", "random", "random-candidates", "shuffled"),
}
"""By kind of answer (`augrec.artefacts.tasks`); of the others a variant receives all or nothing."""
DRAWN = ("shuffled", "random", "random-candidates")
"""Treatments that depend on the training seed: another draw is another augmentation."""
WITHOUT_CONTENT = (*DRAWN, "constant", "interactions")
"""Treatments that keep the scale of the answers and lose their content."""


def allowed(kind: str) -> tuple[Treatment, ...]:
    """The treatments of answers of a kind."""
    return ALLOWED.get(kind, ("as-is", "none"))


def changes(variant: Mapping[str, Any]) -> dict[str, str]:
    """task -> treatment of what a variant (or arm) does not receive as it is; {} without a source.

    Args:
        variant: its entry in the config, as plain values.
    """
    named = (variant.get("change") or {}) if variant.get("source") else {}
    return {task: str(how) for task, how in named.items() if how != AS_IS}


def treatment(variant: Mapping[str, Any], task: str) -> str:
    """How a variant (or arm) treats the answers to a task; `none` without a source."""
    return changes(variant).get(task, AS_IS) if variant.get("source") else NONE


def is_drawn(variant: Mapping[str, Any]) -> bool:
    """Whether what a variant is given depends on the training seed."""
    return any(how in DRAWN for how in changes(variant).values())


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
