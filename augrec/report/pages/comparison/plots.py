"""The plots of the results: arms with their intervals under each recommender, and how the scale was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from augrec.report.pages.comparison.looks import arm_looks, arm_titles, recommender_titles
from augrec.report.pages.run.plots import WIDE, responsive
from augrec.report.render.axes import box, fitted, label_width, mark, name_rows, small
from augrec.report.render.legend import UNKNOWN, Look
from augrec.report.render.svg import INK, MUTED, PAPER
from augrec.report.render.wording import number

SIDE_BY_SIDE = 3
Ends = tuple[float, float]


@dataclass(frozen=True)
class Dot:
    """One arm under one recommender: its mean, its interval, and that of the difference, drawn around the mean."""

    arm: str
    mean: float
    mean_ends: Ends | None
    difference_ends: Ends | None


@dataclass(frozen=True)
class Panel:
    """One recommender: its dots by arm, and the baseline's mean."""

    title: str
    dots: dict[str, Dot]
    baseline: float | None


def forest(content: dict[str, Any], group: dict[str, Any]) -> Markup | None:
    """Each arm's primary metric under each recommender for one group of users; None when nothing was measured."""
    panels = _panels(content, group["name"])
    if not panels:
        return None
    titles, looks, claim = arm_titles(content), arm_looks(content), content.get("claim")
    drawn = {arm for panel in panels for arm in panel.dots}
    arms = [arm for arm in titles if arm in drawn] + sorted(drawn - titles.keys())
    names = [titles.get(arm, arm) for arm in arms]
    bold = [arm == claim for arm in arms]

    def rows(axes: Axes, panel: Panel, above: bool, named: bool) -> None:
        _draw_panel(axes, panel, arms, looks, above)
        name_rows(axes, names if named else [""] * len(names), 42 if above else 32, above=above, bold=bold)
        axes.set_xlabel(content["primary"])

    columns = min(len(panels), SIDE_BY_SIDE)
    lines = -(-len(panels) // columns)
    wide_panel, narrow_panel = 30 * len(arms) + 10, 44 * len(arms) + 14

    def draw(figure: Figure, width: int) -> None:
        if width != WIDE:
            for n, panel in enumerate(panels):
                top = 28 + n * (narrow_panel + 74)
                rows(_titled(box(figure, 20, top, width - 42, narrow_panel), panel), panel, above=True, named=True)
            return
        left = label_width(names, 32)
        each = (width - left - 12 - 44 * (columns - 1)) / columns
        for n, panel in enumerate(panels):
            line, column = divmod(n, columns)
            top = 28 + line * (wide_panel + 74)
            axes = box(figure, left + column * (each + 44), top, each, wide_panel)
            rows(_titled(axes, panel), panel, above=False, named=column == 0)

    heights = lines * (wide_panel + 74), len(panels) * (narrow_panel + 74)
    return responsive(f"forest{group['number']}", _told(content, group, panels, titles), draw, *heights)


def _panels(content: dict[str, Any], group: str) -> list[Panel]:
    panels = []
    for name, title in recommender_titles(content).items():
        found = {
            one["arm"]: ((one.get("groups") or {}).get(group) or {}).get(content["primary"]) or {}
            for one in content["downstream"]
            if one["recommender"] == name
        }
        dots = {arm: _dot(arm, value, content["baseline"]) for arm, value in found.items() if _has_mean(value)}
        baseline = (found.get(content["baseline"]) or {}).get("mean")
        if dots:
            panels.append(Panel(title, dots, baseline))
    return panels


def _has_mean(value: dict[str, Any]) -> bool:
    return value.get("mean") is not None


def _dot(arm: str, value: dict[str, Any], baseline: str) -> Dot:
    versus = (value.get("versus") or {}).get(baseline) or {}
    shifted = None
    if versus.get("difference") is not None and versus.get("low") is not None and versus.get("high") is not None:
        at = value["mean"] - versus["difference"]
        shifted = (at + versus["low"], at + versus["high"])
    ends = None if value.get("low") is None or value.get("high") is None else (value["low"], value["high"])
    return Dot(arm, value["mean"], ends, shifted)


def _titled(axes: Axes, panel: Panel) -> Axes:
    axes.set_title(fitted(panel.title, 34), loc="left", fontsize=12, fontweight="bold", color=INK, pad=8)
    return axes


def _draw_panel(axes: Axes, panel: Panel, arms: list[str], looks: dict[str, Look], above: bool) -> None:
    if panel.baseline is not None:
        axes.axvline(panel.baseline, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    for place, arm in enumerate(arms):
        dot = panel.dots.get(arm)
        if dot is None:
            axes.annotate("no result", (0.5, place), xycoords=("axes fraction", "data"), color=MUTED, va="center")
            continue
        look = looks.get(arm, UNKNOWN)
        if dot.difference_ends:
            ends = dot.difference_ends
            axes.plot(ends, [place] * 2, color=look.colour, linewidth=9, solid_capstyle="butt", alpha=0.3, zorder=2)
        if dot.mean_ends:
            axes.plot(dot.mean_ends, [place, place], color=look.colour, linewidth=1.5, zorder=3)
        mark(axes, dot.mean, place, look)
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(4))


def _told(content: dict[str, Any], group: dict[str, Any], panels: list[Panel], titles: dict[str, str]) -> str:
    parts = []
    for panel in panels:
        values = ", ".join(f"{titles.get(arm, arm)} {number(dot.mean)}" for arm, dot in panel.dots.items())
        parts.append(f"{panel.title}: {values}")
    where = group.get("title") or group["name"]
    return (
        f"{content['primary']} of each arm, {where}. {'. '.join(parts)}. Intervals and p-values are in the table below."
    )


@dataclass(frozen=True)
class Curve:
    """Validation by scale of one arm under one recommender, and the chosen scale."""

    arm: str
    points: dict[float, float]
    chosen: float | None


def tuning_figures(content: dict[str, Any]) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """(recommender, [(arm, small figure)]): all curves of a recommender share their axes, the others thin behind."""
    titles, looks = arm_titles(content), arm_looks(content)
    found = []
    for n, (name, title) in enumerate(recommender_titles(content).items()):
        curves = [_curve(one) for one in content["downstream"] if one["recommender"] == name]
        curves = [curve for curve in curves if curve.points]
        scales = sorted({scale for curve in curves for scale in curve.points})
        if not curves or len(scales) < 2:
            continue
        figures = [
            (titles.get(curve.arm, curve.arm), _tuning_figure(f"tuning{n}-{m}", label, curve, curves, scales, look))
            for m, curve in enumerate(curves)
            for label in [_curve_label(titles.get(curve.arm, curve.arm), title, curve, content["primary"])]
            for look in [looks.get(curve.arm, UNKNOWN)]
        ]
        found.append((title, figures))
    return found


def _tuning_figure(name: str, label: str, curve: Curve, curves: list[Curve], scales: list[float], look: Look) -> Markup:
    return small(name, label, lambda axes: _draw_curve(axes, curve, curves, scales, look.colour))


def _curve(one: dict[str, Any]) -> Curve:
    points = [(point.get("scale"), point.get("valid")) for point in one.get("tuned") or []]
    known = {scale: value for scale, value in points if scale is not None and value is not None}
    return Curve(one["arm"], dict(sorted(known.items())), one.get("scale"))


def _draw_curve(axes: Axes, curve: Curve, curves: list[Curve], scales: list[float], colour: str) -> None:
    """Scales stand at equal steps: a grid is rarely even, and often holds zero."""
    place = {scale: n for n, scale in enumerate(scales)}
    for other in curves:
        x = [place[scale] for scale in other.points]
        axes.plot(x, list(other.points.values()), color=MUTED, linewidth=0.8, alpha=0.45, zorder=1)
    x, y = [place[scale] for scale in curve.points], list(curve.points.values())
    axes.plot(x, y, color=colour, linewidth=2.2, marker="o", markersize=3.5, zorder=3)
    if curve.chosen in curve.points:
        at = [place[curve.chosen]], [curve.points[curve.chosen]]
        axes.scatter(*at, s=52, facecolors=PAPER, edgecolors=INK, linewidths=1.6, zorder=4)
    every = -(-len(scales) // 7)
    axes.set_xticks(range(0, len(scales), every), [f"{scale:g}" for scale in scales[::every]])
    axes.set_xlim(-0.3, len(scales) - 0.7)
    axes.margins(y=0.1)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("scale")


def _curve_label(arm: str, recommender: str, curve: Curve, metric: str) -> str:
    values = ", ".join(f"{number(value)} at {scale:g}" for scale, value in curve.points.items())
    chosen = "" if curve.chosen is None else f"; chosen: {curve.chosen:g}"
    return f"{arm} under {recommender}: validation {metric} by scale: {values}{chosen}"
