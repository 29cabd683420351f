"""A row of a table as a drawing: the mean, its seeds and an interval on one axis that all rows share.

Drawn by hand, not by matplotlib: a page of fifty rows has fifty of them, and they stand inside the cells of a table, so
that what is read and what is seen are one line, also on a telephone and however the table is sorted. The numbers stand
in the cells beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from augrec.report.render.wording import number

WIDTH, HEIGHT = 150, 24
EDGE = 5
"""CSS pixels that stay free at both ends."""
SEEDS_SHOWN = 100
"""Circles of a row; more of them would be a bar."""


@dataclass(frozen=True)
class Strip:
    """What a row shows; places are values on the shared axis.

    Attributes:
        mean: the upright bar; None draws nothing.
        seeds: circles.
        low, high: the shaded interval.
    """

    mean: float | None
    seeds: Sequence[float] = ()
    low: float | None = None
    high: float | None = None

    @property
    def places(self) -> list[float]:
        """All that has to fit on the axis."""
        ends = [] if self.low is None or self.high is None else [self.low, self.high]
        return [value for value in (self.mean, *self.seeds, *ends) if value is not None and math.isfinite(value)]


def axis_of(strips: Iterable[Strip], reference: float | None) -> tuple[float, float]:
    """The ends of the axis: all that is drawn, and the reference."""
    places = [place for strip in strips for place in strip.places]
    places += [reference] if reference is not None and math.isfinite(reference) else []
    return (min(places), max(places)) if places else (0.0, 1.0)


def draw_strips(strips: Mapping[str, Strip], reference: float | None) -> tuple[dict[str, Markup], str]:
    """Each strip as an SVG of `WIDTH` by `HEIGHT` pixels, and what the axis shows, in words.

    Args:
        strips: by row.
        reference: where the dashed line stands; None draws none.
    """
    low, high = axis_of(strips.values(), reference)
    span = high - low or 1.0

    def at(value: float) -> str:
        return f"{EDGE + (WIDTH - 2 * EDGE) * (value - low) / span:.1f}"

    dashed = ""
    if reference is not None and math.isfinite(reference):
        dashed = f'<path class="reference" d="M{at(reference)} 0V{HEIGHT}"/>'
    return {name: _svg(strip, dashed, at) for name, strip in strips.items()}, f"{number(low)} to {number(high)}"


def _svg(strip: Strip, dashed: str, at: Callable[[float], str]) -> Markup:
    middle = HEIGHT // 2
    parts = [dashed]
    if strip.mean is not None and math.isfinite(strip.mean):
        if strip.low is not None and strip.high is not None:
            parts.append(f'<path class="interval" d="M{at(strip.low)} {middle}H{at(strip.high)}"/>')
        seeds = [value for value in strip.seeds if math.isfinite(value)][:SEEDS_SHOWN]
        parts += [f'<circle cx="{at(value)}" cy="{middle}" r="2.6"/>' for value in seeds]
        parts.append(f'<path class="mean" d="M{at(strip.mean)} {middle - 8}V{middle + 8}"/>')
    inside = "".join(parts)
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return Markup(f'<svg class="strip" aria-hidden="true" {size}>{inside}</svg>')
