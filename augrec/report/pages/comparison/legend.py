"""Which mark each arm and each source has in plots and tables."""

from __future__ import annotations

from augrec.report.pages.comparison.results import ComparisonResults
from augrec.report.render.legend import LOOKS, UNKNOWN, Look, look_of


def arm_looks(results: ComparisonResults) -> dict[str, Look]:
    """Arm name -> look."""
    return {arm.name: look_of(arm.kind) for arm in results.arms}


def source_looks(results: ComparisonResults) -> dict[str, Look]:
    """Source name -> the look of the arm that uses its texts as they are; a source of controls alone looks so."""
    looks: dict[str, Look] = {}
    for arm in results.arms:
        if arm.source and (arm.source not in looks or looks[arm.source].kind == "control"):
            looks[arm.source] = look_of(arm.kind)
    return looks


def legend_of(results: ComparisonResults) -> list[Look]:
    """The looks that occur, in a fixed order."""
    used = set(arm_looks(results).values())
    return [look for look in (*LOOKS.values(), UNKNOWN) if look in used]
