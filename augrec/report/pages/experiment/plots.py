"""The plots of an experiment: bars with intervals for a table, lines for sweeps; on the page, and as SVG and PNG.

Both are drawn by the same functions. On the page they take its colours, light or dark, and stand side by side or below
each other by the width of the window; the files are for papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from augrec.artefacts.files import atomic_path
from augrec.report.pages.experiment.values import RowValues, SweepLine, TableValues, labels_of
from augrec.report.pages.run.plots import WIDE, responsive
from augrec.report.render import svg
from augrec.report.render.axes import fitted
from augrec.report.render.svg import plot_style
from augrec.report.render.wording import number

PANELS_SIDE_BY_SIDE = 4
MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Colours:
    """Of words and intervals, of what is less important, and of what is told apart."""

    ink: str
    muted: str
    series: tuple[str, ...]


FILES = Colours("#1f2328", "#57606a", ("#0b6bcb", "#c4510b", "#1a7f4b", "#7a3fc4", "#a5264f", "#5f6b00"))
PAGE = Colours(svg.INK, svg.MUTED, svg.SERIES)
_STYLE = plot_style(FILES.ink, FILES.muted, "#d0d7de", 10.0)


def draw_bars(block: TableValues, path: Path) -> None:
    """A panel per metric: each row's mean with the interval of its mean over users, and the baseline as a line.

    Args:
        block: the table.
        path: without suffix; gets `.svg` and `.png`.
    """
    columns = min(len(block.metrics), PANELS_SIDE_BY_SIDE)
    lines = -(-len(block.metrics) // columns)
    with rc_context({**_STYLE, "svg.hashsalt": path.name}):
        figure = Figure(figsize=(2.0 + 2.4 * columns, lines * (0.9 + 0.26 * len(block.rows))))
        _panels_of_bars(figure, block, columns, FILES, letters=80)
        _save(figure, path)


def bars_on_page(block: TableValues, name: str) -> Markup:
    """The same for the page; `name` is unique on it."""
    wide = min(len(block.metrics), 3)
    told = "; ".join(f"{row.label} {number(row.values[block.metrics[0]].mean)}" for row in block.rows)

    def draw(figure: Figure, width: int) -> None:
        _panels_of_bars(figure, block, wide if width == WIDE else 1, PAGE, letters=28 if width == WIDE else 14)

    of_panel = 56 + 24 * len(block.rows)
    label = f"{block.title}: means with intervals over users and seeds. {block.metrics[0]}: {told}."
    return responsive(name, label, draw, of_panel * -(-len(block.metrics) // wide), of_panel * len(block.metrics))


def _panels_of_bars(figure: Figure, block: TableValues, columns: int, colours: Colours, letters: int) -> None:
    figure.set_layout_engine("constrained")
    lines = -(-len(block.metrics) // columns)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for axes, metric in zip(panels.flat, block.metrics, strict=False):
        _bars(axes, block.rows, metric, colours)
    for axes in panels.flat[len(block.metrics) :]:
        axes.set_visible(False)
    panels[0][0].set_yticks(range(len(block.rows)), [fitted(row.label, letters) for row in block.rows])
    panels[0][0].set_ylim(len(block.rows) - 0.4, -0.6)


def _bars(axes: Axes, rows: tuple[RowValues, ...], metric: str, colours: Colours) -> None:
    for place, row in enumerate(rows):
        value = row.values[metric]
        if value.mean is None:
            axes.annotate("failed", (0, place), (4, -3), textcoords="offset points", color=colours.muted)
            continue
        colour = colours.series[1] if row.is_baseline else colours.series[0]
        axes.barh(place, value.mean, height=0.62, color=colour, alpha=0.75)
        if value.low is not None and value.high is not None:
            axes.plot([value.low, value.high], [place, place], color=colours.ink, linewidth=1.4)
        if value.paper is not None:
            axes.plot([value.paper], [place], marker="d", color=colours.ink, markersize=4)
        if row.is_baseline:
            axes.axvline(value.mean, color=colours.series[1], linewidth=1, linestyle=(0, (4, 3)))
    told = (end for row in rows for end in (row.values[metric].mean, row.values[metric].high, row.values[metric].paper))
    axes.set_xlim(0, None if any(told) else 1)  # all may be 0, as in a study made small to be tried
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel(metric)


def draw_lines(lines: Sequence[SweepLine], path: Path) -> None:
    """One sweep: a panel per metric, a line per data set, setting and variant, bands of the intervals over users.

    Numbers stand where they belong; values that are not numbers stand side by side.
    """
    metrics = lines[0].metrics
    with rc_context({**_STYLE, "svg.hashsalt": path.name}):
        figure = Figure(figsize=(3.4 * len(metrics), 2.8))
        _panels_of_lines(figure, lines, len(metrics), FILES)
        _save(figure, path)


def lines_on_page(lines: Sequence[SweepLine], name: str) -> Markup:
    """The same for the page; `name` is unique on it."""
    metrics = lines[0].metrics
    wide = min(len(metrics), 3)

    def draw(figure: Figure, width: int) -> None:
        _panels_of_lines(figure, lines, wide if width == WIDE else 1, PAGE)

    values = ", ".join(str(point.value) for point in lines[0].points)
    label = f"{lines[0].title}: {', '.join(metrics)} at {values}, as the table below has them."
    return responsive(name, label, draw, 250 * -(-len(metrics) // wide), 230 * len(metrics))


def _panels_of_lines(figure: Figure, lines: Sequence[SweepLine], columns: int, colours: Colours) -> None:
    metrics = lines[0].metrics
    given = [point.value for point in lines[0].points]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)
    figure.set_layout_engine("constrained")
    panels = figure.subplots(-(-len(metrics) // columns), columns, squeeze=False).flat
    for axes in panels[len(metrics) :]:
        axes.set_visible(False)
    for axes, metric in zip(panels, metrics, strict=False):
        for n, (label, line) in enumerate(zip(labels_of(lines), lines, strict=True)):
            _line(axes, line, label, metric, n, numbers, colours)
        axes.set_xlabel(lines[0].title)
        axes.set_ylabel(metric)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if not numbers:
            axes.set_xticks(range(len(given)), [str(value) for value in given])
    if len(lines) > 1:
        panels[len(metrics) - 1].legend(frameon=False, fontsize=8 if colours is FILES else 11)


def _line(axes: Axes, line: SweepLine, label: str, metric: str, n: int, numbers: bool, colours: Colours) -> None:
    points = [
        (float(point.value) if numbers else float(place), point.values[metric])
        for place, point in enumerate(line.points)
        if point.values[metric].mean is not None
    ]
    points.sort(key=lambda pair: pair[0])
    x = [at for at, _ in points]
    colour = colours.series[n % len(colours.series)]
    means = [value.mean or 0.0 for _, value in points]
    axes.plot(x, means, color=colour, marker=MARKERS[n % len(MARKERS)], markersize=4, label=label)
    banded = [(at, v.low, v.high) for at, v in points if v.low is not None and v.high is not None]
    if banded:
        at, low, high = zip(*banded, strict=True)
        axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    with atomic_path(path.with_name(f"{path.name}.svg")) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    with atomic_path(path.with_name(f"{path.name}.png")) as temporary:
        figure.savefig(temporary, format="png", dpi=144, metadata={"Software": None}, facecolor="white")
