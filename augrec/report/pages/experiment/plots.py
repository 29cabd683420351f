"""The plots of an experiment: bars with intervals for a table, lines for sweeps; each as SVG and PNG."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from augrec.artefacts.files import atomic_path
from augrec.report.pages.experiment.values import Block, Line, Row, labels_of
from augrec.report.render.svg import plot_style

INK, MUTED, RULE = "#1f2328", "#57606a", "#d0d7de"
SERIES = ("#0b6bcb", "#c4510b", "#1a7f4b", "#7a3fc4", "#a5264f", "#5f6b00")
PANELS_SIDE_BY_SIDE = 4
MARKERS = ("o", "s", "^", "D", "v", "P")
_STYLE = plot_style(INK, MUTED, RULE, 10.0)


def draw_bars(block: Block, path: Path) -> None:
    """A panel per metric: each row's mean with the interval of its mean over users, and the baseline as a line.

    Args:
        block: the table.
        path: without suffix; gets `.svg` and `.png`.
    """
    columns = min(len(block.metrics), PANELS_SIDE_BY_SIDE)
    lines = -(-len(block.metrics) // columns)
    with rc_context({**_STYLE, "svg.hashsalt": path.name}):
        figure = Figure(figsize=(2.0 + 2.4 * columns, lines * (0.9 + 0.26 * len(block.rows))), layout="constrained")
        panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes, metric in zip(panels.flat, block.metrics, strict=False):
            _bars(axes, block.rows, metric)
        for axes in panels.flat[len(block.metrics) :]:
            axes.set_visible(False)
        panels[0][0].set_yticks(range(len(block.rows)), [row.label for row in block.rows])
        panels[0][0].set_ylim(len(block.rows) - 0.4, -0.6)
        _save(figure, path)


def _bars(axes: Axes, rows: tuple[Row, ...], metric: str) -> None:
    for place, row in enumerate(rows):
        value = row.values[metric]
        if value.mean is None:
            axes.annotate("failed", (0, place), (4, -3), textcoords="offset points", color=MUTED)
            continue
        axes.barh(place, value.mean, height=0.62, color=SERIES[1] if row.is_baseline else SERIES[0], alpha=0.75)
        if value.low is not None and value.high is not None:
            axes.plot([value.low, value.high], [place, place], color=INK, linewidth=1.4)
        if value.paper is not None:
            axes.plot([value.paper], [place], marker="d", color=INK, markersize=4)
        if row.is_baseline:
            axes.axvline(value.mean, color=SERIES[1], linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel(metric)


def draw_lines(lines: list[Line], path: Path) -> None:
    """One sweep: a panel per metric, a line per data set, setting and variant, bands of the intervals over users.

    Numbers stand where they belong; values that are not numbers stand side by side.
    """
    metrics = lines[0].metrics
    given = [point.value for point in lines[0].points]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)
    with rc_context({**_STYLE, "svg.hashsalt": path.name}):
        figure = Figure(figsize=(3.4 * len(metrics), 2.8), layout="constrained")
        panels = figure.subplots(1, len(metrics), squeeze=False)[0]
        for axes, metric in zip(panels, metrics, strict=True):
            for n, (label, line) in enumerate(zip(labels_of(lines), lines, strict=True)):
                _line(axes, line, label, metric, n, numbers)
            axes.set_xlabel(lines[0].title)
            axes.set_ylabel(metric)
            axes.yaxis.set_major_locator(MaxNLocator(5))
            if not numbers:
                axes.set_xticks(range(len(given)), [str(value) for value in given])
        if len(lines) > 1:
            panels[-1].legend(frameon=False, fontsize=8)
        _save(figure, path)


def _line(axes: Axes, line: Line, label: str, metric: str, n: int, numbers: bool) -> None:
    points = [
        (float(point.value) if numbers else float(place), point.values[metric])
        for place, point in enumerate(line.points)
        if point.values[metric].mean is not None
    ]
    points.sort(key=lambda pair: pair[0])
    x = [at for at, _ in points]
    colour = SERIES[n % len(SERIES)]
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
