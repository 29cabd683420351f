"""The plots of the results: arms with their intervals under each recommender, and how the scale was chosen."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from augrec.report.measures.downstream import GroupSize, Judgement, MetricValue
from augrec.report.pages.comparison.legend import arm_looks
from augrec.report.pages.comparison.results import ComparisonResults
from augrec.report.pages.run.plots import WIDE, responsive
from augrec.report.pages.spread_of_users import spread_figure, spread_label
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


def forest(results: ComparisonResults, group: GroupSize, number_of_group: int) -> Markup | None:
    """Each arm's primary metric under each recommender for one group of users; None when nothing was measured."""
    panels = _panels(results, group.name)
    if not panels:
        return None
    titles, looks = results.arm_titles, arm_looks(results)
    drawn = {arm for panel in panels for arm in panel.dots}
    arms = [arm for arm in titles if arm in drawn] + sorted(drawn - titles.keys())
    names = [titles.get(arm, arm) for arm in arms]
    bold = [arm == results.claim for arm in arms]

    def rows(axes: Axes, panel: Panel, above: bool, named: bool) -> None:
        _draw_panel(axes, panel, arms, looks, above)
        name_rows(axes, names if named else [""] * len(names), 42 if above else 32, above=above, bold=bold)
        axes.set_xlabel(results.primary)

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
    return responsive(f"forest{number_of_group}", _forest_label(results, group, panels), draw, *heights)


def _panels(results: ComparisonResults, group: str) -> list[Panel]:
    panels = []
    for name, title in results.recommender_titles.items():
        values = {judged.arm: judged.value(group, results.primary) for judged in results.judged_by(name)}
        dots = {arm: dot for arm, value in values.items() if (dot := _dot(arm, value, results.baseline)) is not None}
        baseline = values.get(results.baseline)
        if dots:
            panels.append(Panel(title, dots, None if baseline is None else baseline.mean))
    return panels


def _dot(arm: str, value: MetricValue | None, baseline: str) -> Dot | None:
    """None where there is no mean."""
    if value is None or value.mean is None:
        return None
    versus, shifted = value.versus.get(baseline), None
    if versus and versus.difference is not None and versus.family_low is not None and versus.family_high is not None:
        at = value.mean - versus.difference
        shifted = (at + versus.family_low, at + versus.family_high)
    ends = None if value.low is None or value.high is None else (value.low, value.high)
    return Dot(arm, value.mean, ends, shifted)


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


def _forest_label(results: ComparisonResults, group: GroupSize, panels: list[Panel]) -> str:
    titles, parts = results.arm_titles, []
    for panel in panels:
        values = ", ".join(f"{titles.get(arm, arm)} {number(dot.mean)}" for arm, dot in panel.dots.items())
        parts.append(f"{panel.title}: {values}")
    where = group.title or group.name
    return f"{results.primary} of each arm, {where}. {'. '.join(parts)}. Intervals and p-values are in the table below."


def user_figures(results: ComparisonResults, group: str) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """(recommender, [(arm, small figure)]): the share of a group's users up to each value of the primary metric."""
    titles, looks = results.arm_titles, arm_looks(results)
    drawn = []
    for n, (name, title) in enumerate(results.recommender_titles.items()):
        values = {judged.arm: judged.value(group, results.primary) for judged in results.judged_by(name)}
        spreads = {arm: value.users for arm, value in values.items() if value is not None and value.users is not None}
        figures = []
        for m, (arm, spread) in enumerate(spreads.items()):
            label = spread_label(f"{titles.get(arm, arm)} under {title}", results.primary, spread)
            beside, colour = spreads.get(results.baseline), looks.get(arm, UNKNOWN).colour
            figure = spread_figure(f"users{n}-{m}", label, results.primary, spread, beside, colour)
            figures.append((titles.get(arm, arm), figure))
        if figures:
            drawn.append((title, figures))
    return drawn


@dataclass(frozen=True)
class Curve:
    """Validation by scale of one arm under one recommender, and the chosen scale."""

    arm: str
    points: dict[float, float]
    chosen: float | None


def tuning_figures(results: ComparisonResults) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """(recommender, [(arm, small figure)]): all curves of a recommender share their axes, the others thin behind."""
    titles, looks = results.arm_titles, arm_looks(results)
    by_recommender = []
    for n, (name, title) in enumerate(results.recommender_titles.items()):
        curves = [curve for judged in results.judged_by(name) if (curve := _curve(judged)).points]
        scales = sorted({scale for curve in curves for scale in curve.points})
        if not curves or len(scales) < 2:
            continue
        figures = []
        for m, curve in enumerate(curves):
            arm = titles.get(curve.arm, curve.arm)
            label = _curve_label(arm, title, curve, results.primary)
            look = looks.get(curve.arm, UNKNOWN)
            figures.append((arm, _tuning_figure(f"tuning{n}-{m}", label, curve, curves, scales, look)))
        by_recommender.append((title, figures))
    return by_recommender


def _tuning_figure(name: str, label: str, curve: Curve, curves: list[Curve], scales: list[float], look: Look) -> Markup:
    return small(name, label, lambda axes: _draw_curve(axes, curve, curves, scales, look.colour))


def _curve(judged: Judgement) -> Curve:
    known = {tried.scale: tried.valid for tried in judged.tuned if tried.valid is not None}
    return Curve(judged.arm, dict(sorted(known.items())), judged.scale)


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
