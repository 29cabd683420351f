"""The plots of the texts: their length, whether they fit their user, the places that are picked, and the leak check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from augrec.report.measures.intrinsic import Histogram
from augrec.report.measures.leak import Leak
from augrec.report.measures.resampled_means import ResampledMean
from augrec.report.pages.comparison.legend import source_looks
from augrec.report.pages.comparison.results import ComparisonResults
from augrec.report.pages.comparison.text_tables import percent_1, task_name
from augrec.report.pages.run.plots import WIDE, responsive
from augrec.report.render.axes import box, label_width, mark, name_rows, small
from augrec.report.render.legend import UNKNOWN, Look
from augrec.report.render.svg import GRID, INK, MUTED, PAPER, SERIES
from augrec.report.render.wording import percent

STRANGER = Look("stranger", "", "", "o", MUTED, filled=False)
DISLIKED = Look("disliked", "", "", "X", SERIES[1])


def length_figures(results: ComparisonResults) -> list[tuple[str, Markup]]:
    """Words per text of every source and task, all of a task on the same axis: (name, small figure)."""
    looks = source_looks(results)
    drawn = [texts for texts in results.intrinsic if sum(texts.histogram.counts)]
    figures = []
    for n, texts in enumerate(drawn):
        last = max(_reached(other.histogram) for other in drawn if other.task == texts.task)
        name = f"{texts.source}, {task_name(texts.task)}"
        lengths = asdict(texts.words_per_text)
        words = ", ".join(f"{key} {value:.0f}" for key, value in lengths.items() if value is not None)
        colour = looks.get(texts.source, UNKNOWN).colour

        def draw(axes: Axes, histogram: Histogram = texts.histogram, colour: str = colour, last: float = last) -> None:
            shares = np.array(histogram.counts, dtype=float)
            axes.stairs(100 * shares / shares.sum(), histogram.edges, fill=True, color=colour, alpha=0.75)
            axes.set_xlim(0, last)
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.set_xlabel("words per text; height: % of texts")

        figures.append((name, small(f"length{n}", f"{name}: words per text: {words or 'as drawn'}", draw, height=140)))
    return figures


def _reached(histogram: Histogram) -> float:
    """The upper end of the last bin that holds a text."""
    held = [edge for count, edge in zip(histogram.counts, histogram.edges[1:], strict=True) if count]
    return float(max(held))


def _rows_figure(
    name: str,
    label: str,
    rows: Sequence[str],
    draw_rows: Callable[[Axes], None],
    x_label: str,
    *,
    row: int = 34,
    limits: tuple[float, float] | None = None,
) -> Markup:
    """A figure of one row per name; `draw_rows(axes)` fills the rows 0, 1, 2 and so on."""

    def draw(figure: Figure, width: int) -> None:
        above = width != WIDE
        left = 20.0 if above else label_width(rows, 28)
        height = (row + 12 if above else row) * len(rows) + 8
        axes = box(figure, left, 8, width - left - 24, height)
        draw_rows(axes)
        name_rows(axes, rows, 42 if above else 28, above=above)
        axes.set_xlabel(x_label)
        axes.xaxis.set_major_locator(MaxNLocator(6 if width == WIDE else 4))
        axes.margins(x=0.05)
        if limits:
            axes.set_xlim(limits)

    return responsive(name, label, draw, row * len(rows) + 66, (row + 12) * len(rows) + 66)


def consistency_figure(results: ComparisonResults) -> Markup | None:
    """Liked genres found in the user's own history against those of strangers, and disliked ones found there."""
    looks = source_looks(results)
    drawn = [fit for fit in results.consistency if fit.liked_in_history is not None]
    if not drawn:
        return None

    def draw(axes: Axes) -> None:
        for place, fit in enumerate(drawn):
            own, strange = fit.liked_in_history, fit.strangers
            if own is not None and strange is not None:
                axes.plot([100 * strange, 100 * own], [place] * 2, color=GRID, linewidth=3, zorder=1)
            shapes = (STRANGER, looks.get(fit.source, UNKNOWN), DISLIKED)
            for value, look in zip((strange, own, fit.disliked_in_history), shapes, strict=True):
                if value is not None:
                    mark(axes, 100 * value, place, look)

    values = "; ".join(
        f"{fit.source} {percent(fit.liked_in_history)}, of a stranger {percent(fit.strangers)}, "
        f"disliked {percent(fit.disliked_in_history)}"
        for fit in drawn
    )
    label = f"Share of the genres named in a profile that occur in the user's history. {values}."
    names = [fit.source for fit in drawn]
    return _rows_figure("consistency", label, names, draw, "found in the user’s training history, %", limits=(0, 100))


def position_figures(results: ComparisonResults) -> list[tuple[str, Markup]]:
    """Picks by place in the list, likely ones upwards and unlikely ones downwards: (source, small figure)."""
    figures = []
    for n, picks in enumerate(results.position):
        up, down = (np.array(counts, dtype=float) for counts in (picks.positive, picks.negative))
        if not up.size and not down.size:
            continue
        shares = [f"first place {percent(picks.first_share)} of the likely picks"] if picks.first_share else []
        if picks.labels:
            shares.append(f"by chance {percent(1 / picks.labels)}")
        label = f"{picks.source}: picks by place in the list: {', '.join(shares) or 'as drawn'}"

        def draw(axes: Axes, up: np.ndarray = up, down: np.ndarray = down) -> None:
            for counts, sign, colour in ((up, 1, SERIES[0]), (down, -1, SERIES[1])):
                if counts.sum() > 0:
                    shares = 100 * sign * counts / counts.sum()
                    axes.bar(np.arange(1, counts.size + 1), shares, width=0.82, color=colour, alpha=0.8)
                    axes.axhline(100 * sign / counts.size, color=INK, linewidth=1.1, linestyle=(0, (4, 3)))
            axes.axhline(0, color=MUTED, linewidth=0.8)
            axes.grid(axis="x", visible=False)
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
            axes.set_xlabel("place in the list; height: % of picks")

        figures.append((picks.source, small(f"position{n}", label, draw)))
    return figures


def leak_figure(results: ComparisonResults) -> Markup | None:
    """Percentiles of each user's items among the items outside their training, with intervals and chance."""
    looks = source_looks(results)
    drawn = [check for check in results.leak if any(value.mean is not None for value in _by_split(check).values())]
    if not drawn:
        return None
    shapes = {"train": ("o", True), "valid": ("D", False), "test": ("s", True)}

    def draw(axes: Axes) -> None:
        axes.axvline(50, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        for place, check in enumerate(drawn):
            colour = looks.get(check.source, UNKNOWN).colour
            for offset, (split, value) in zip((-0.2, 0.0, 0.2), _by_split(check).items(), strict=True):
                marker, filled = shapes[split]
                shade = MUTED if split == "train" else colour
                if value.mean is None:
                    continue
                if value.low is not None and value.high is not None:
                    ends = [100 * value.low, 100 * value.high]
                    axes.plot(ends, [place + offset] * 2, color=shade, linewidth=1.6, zorder=2)
                axes.scatter(
                    [100 * value.mean], [place + offset], s=34, marker=marker,
                    facecolors=shade if filled else PAPER, edgecolors=shade, linewidths=1.5, zorder=3,
                )  # fmt: skip

    values = "; ".join(
        f"{check.source}: " + ", ".join(f"{split} {percent_1(value.mean)}" for split, value in _by_split(check).items())
        for check in drawn
    )
    rivals = "among the items outside their training, by likeness to the profile"
    label = f"Percentile of each user's items {rivals}; chance is 50 %. {values}."
    names = [check.source for check in drawn]
    return _rows_figure("leak", label, names, draw, "percentile among items outside training; chance 50", row=46)


def _by_split(check: Leak) -> dict[str, ResampledMean]:
    return {"train": check.train, "valid": check.valid, "test": check.test}
