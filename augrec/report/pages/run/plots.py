"""The figures: variants with intervals and seeds, training curves, and genres against the data's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from augrec.report.numbers.results import Results
from augrec.report.numbers.variants import Trained
from augrec.report.options import ReportOptions
from augrec.report.pages.spread_of_users import spread_figure, spread_label
from augrec.report.render.svg import GRID, INK, MUTED, PAPER, SERIES, inline_svg, page_style
from augrec.report.render.wording import number

WIDE, NARROW = 860, 340
MARKERS = ("s", "o", "^", "D", "v")


@dataclass(frozen=True)
class Curve:
    """A variant's validation metric by epoch: mean, lowest and highest over seeds, and the epochs kept per seed."""

    name: str
    epochs: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    best: tuple[tuple[int, float], ...]


def primary_figure(trained: dict[str, Trained], results: Results, options: ReportOptions) -> Markup:
    """Each variant's mean, its seeds as dots, and the interval of its difference drawn around the mean."""
    metric = options.primary
    told = [f"{name} {number(variant.mean(metric))}" for name, variant in trained.items()]
    label = f"{metric} by variant, mean over seeds: {'; '.join(told)}. Intervals and p-values are in the table above."

    def draw(figure: Figure, width: int) -> None:
        wide = width == WIDE
        left = (min(0.36, 0.02 + 0.0085 * max(map(len, trained)))) if wide else 0.05
        pixels = figure.get_figheight() * 72
        axes = figure.add_axes((left, 46 / pixels, 0.975 - left, 1 - 52 / pixels))
        _draw_variants(axes, trained, results, options, labels_above=not wide)

    row = 34
    return responsive("primary", label, draw, 66 + row * len(trained), 66 + (row + 14) * len(trained))


def _draw_variants(
    axes: Axes, trained: dict[str, Trained], results: Results, options: ReportOptions, labels_above: bool
) -> None:
    baseline = trained[options.baseline].mean(options.primary)
    tick = 0.18 if labels_above else 0.3
    axes.axvline(baseline, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    for y, (name, variant) in enumerate(trained.items()):
        versus = results.of(name, options.primary)
        if versus.family_low is not None and versus.family_high is not None:
            ends = [baseline + versus.family_low, baseline + versus.family_high]
            axes.plot(ends, [y, y], color=SERIES[0], linewidth=7, solid_capstyle="butt", alpha=0.3, zorder=2)
        values = list(variant.values(options.primary).values())
        axes.scatter(values, [y] * len(values), s=30, facecolors="none", edgecolors=INK, linewidths=1.1, zorder=3)
        axes.plot([variant.mean(options.primary)] * 2, [y - tick, y + tick], color=SERIES[0], linewidth=3, zorder=4)
        if labels_above:
            axes.annotate(_short(name, 42), (0, y), (0, 13), ("axes fraction", "data"), "offset points")
    names = [""] * len(trained) if labels_above else [_short(name, 34) for name in trained]
    axes.set_yticks(range(len(trained)), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(trained) - 0.4, -0.75 if labels_above else -0.6)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(f"{options.primary} on the test split")


def user_figures(results: Results, options: ReportOptions) -> list[tuple[str, Markup]]:
    """One small figure per variant: the share of users up to each value of the primary metric: (name, figure)."""
    metric, beside = options.primary, results.users.get(options.baseline)
    return [
        (name, spread_figure(f"users{n}", spread_label(name, metric, spread), metric, spread, beside, SERIES[0]))
        for n, (name, spread) in enumerate(results.users.items())
    ]


def training_curves(trained: dict[str, Trained], metric: str) -> list[Curve]:
    """The validation curves of the variants that have one; epochs reached by every seed carry the mean."""
    curves = []
    for variant in trained.values():
        runs = [_history(run.get("history") or [], metric) for run in variant.metrics.values()]
        epochs = sorted(set.intersection(*(set(run) for run in runs)))
        if not epochs:
            continue
        values = np.array([[run[epoch] for epoch in epochs] for run in runs])
        kept = [(run.get("best_epoch"), points) for run, points in zip(variant.metrics.values(), runs, strict=True)]
        best = tuple((epoch, points[epoch]) for epoch, points in kept if epoch in points)
        curves.append(Curve(variant.name, np.array(epochs), values.mean(0), values.min(0), values.max(0), best))
    return curves


def _history(history: list[dict], metric: str) -> dict[int, float]:  # type: ignore[type-arg]
    values = {entry["epoch"]: (entry.get("valid") or {}).get(metric) for entry in history}
    return {epoch: value for epoch, value in values.items() if value is not None}


def curve_figures(curves: list[Curve], metric: str) -> list[tuple[str, Markup]]:
    """One small figure per variant, all on the same axes, the other variants thin behind it: (name, figure)."""
    if not curves:
        return []
    kept = [point for curve in curves for point in curve.best]
    last = max([curve.epochs[-1] for curve in curves] + [epoch for epoch, _ in kept])
    low = min([curve.low.min() for curve in curves] + [value for _, value in kept])
    high = max([curve.high.max() for curve in curves] + [value for _, value in kept])
    margin = 0.06 * (high - low) or 0.01
    figures = []
    for n, curve in enumerate(curves):
        with page_style():
            figure = Figure(figsize=(272 / 72, 168 / 72))
            axes = figure.add_axes((0.175, 0.225, 0.79, 0.74))
            for other in curves:
                axes.plot(other.epochs, other.mean, color=MUTED, linewidth=0.8, alpha=0.45, zorder=1)
            axes.fill_between(curve.epochs, curve.low, curve.high, color=SERIES[0], alpha=0.25, linewidth=0, zorder=2)
            axes.plot(curve.epochs, curve.mean, color=SERIES[0], linewidth=2.2, zorder=3)
            x, y = zip(*curve.best, strict=True) if curve.best else ((), ())
            axes.scatter(x, y, s=26, facecolors=PAPER, edgecolors=INK, linewidths=1.1, zorder=4)
            axes.set_ylim(low - margin, high + margin)
            axes.set_xlim(min(0, curve.epochs[0]) - 0.02 * last, max(1, last) * 1.03)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.tick_params(labelsize=11, labelcolor=MUTED, length=0)
            axes.set_xlabel("epoch", fontsize=11)
            label = (
                f"{curve.name}: validation {metric} goes from {number(curve.mean[0])} at epoch {curve.epochs[0]} "
                f"to {number(curve.mean[-1])} at epoch {curve.epochs[-1]}, mean over seeds"
            )
            figures.append((curve.name, inline_svg(figure, f"curve{n}", label)))
    return figures


def genre_figure(genres: list[str], shares: dict[str, list[float]]) -> Markup:
    """Share of each genre in training histories and in each source's profiles, told apart by shape and colour."""
    first = next(iter(shares))
    told = "; ".join(f"{source}: mostly {genres[int(np.argmax(shares[source]))]}" for source in shares)

    def draw(figure: Figure, width: int) -> None:
        pixels = figure.get_figheight() * 72
        left = (16 + 7.8 * min(18, max(map(len, genres)))) / width
        above = (30 if width == WIDE else 10 + 20 * len(shares)) / pixels
        axes = figure.add_axes((left, 46 / pixels, 0.975 - left, 1 - 46 / pixels - above))
        rows = np.arange(len(genres))
        values = np.array([shares[source] for source in shares]) * 100
        axes.hlines(rows, values.min(0), values.max(0), color=GRID, linewidth=3, zorder=1)
        for n, source in enumerate(shares):
            colour = INK if source == first else SERIES[(n - 1) % len(SERIES)]
            axes.scatter(
                values[n], rows, s=44, marker=MARKERS[n % len(MARKERS)], facecolors=PAPER if n == 0 else colour,
                edgecolors=colour, linewidths=1.5, zorder=2 + n, label=_short(_source_name(source), 36),
            )  # fmt: skip
        axes.set_yticks(rows, [_short(genre, 18) for genre in genres])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(genres) - 0.4, -0.6)
        axes.set_xlim(left=min(0, -0.02 * values.max()))
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("share of genre mentions, %")
        wide = width == WIDE
        figure.legend(
            loc="upper left",
            bbox_to_anchor=(left - 0.01 if wide else 0, 1),
            ncols=len(shares) if wide else 1,
            frameon=False,
            borderpad=0.1,
            handletextpad=0.3,
        )

    label = f"Share of each genre in histories and in generated profiles. {told}."
    height = 62 + 24 * len(genres)
    return responsive("genres", label, draw, height + 30, height + 10 + 20 * len(shares))


def _source_name(source: str) -> str:
    return "training histories" if source == "histories" else f"profiles by {source}"


def responsive(
    name: str, label: str, draw: Callable[[Figure, int], None], wide_height: int, narrow_height: int
) -> Markup:
    """The same figure laid out for a desktop and for a telephone; the style sheet shows one of them."""
    rendered = []
    for width, height, css_class in ((WIDE, wide_height, "wide"), (NARROW, narrow_height, "narrow")):
        with page_style():
            figure = Figure(figsize=(width / 72, height / 72))
            draw(figure, width)
            rendered.append(inline_svg(figure, f"{name}-{css_class}", label, css_class))
    return Markup("").join(rendered)


def _short(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
