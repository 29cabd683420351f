"""How fast each LLM answered, over time: rates from the timelines of all its processes, summed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.timelines import Points, timelines, together
from augrec.report.pages.run.plots import WIDE, responsive
from augrec.report.render.svg import INK, MUTED, SERIES
from augrec.report.render.wording import counted, rate, seconds

PAUSE = 10.0
"""Seconds without generating that count as a pause; shorter ones are between two batches."""
DRAWN, TABLED = 120, 12
PAUSE_WIDTH = 0.04
RATES = ("requests", "prompt tokens", "written tokens")


@dataclass(frozen=True)
class Rates:
    """Rates per second by interval, in the order of time.

    Args:
        at: [n] seconds from the first start to the middle of each interval.
        interval: its length in seconds.
        values: {name of RATES: [n] per second}.
        after_pause: {index of an interval: seconds of the pause before it}.
    """

    at: np.ndarray
    interval: float
    values: dict[str, np.ndarray]
    after_pause: dict[int, float]

    @property
    def active(self) -> np.ndarray:
        """[n] `at` without the pauses before it."""
        paused = np.zeros(len(self.at))
        for begin, length in self.after_pause.items():
            paused[begin:] += length
        return np.asarray(self.at - paused)

    @property
    def gap(self) -> float:
        """Seconds that every pause is drawn as, however long it was."""
        return PAUSE_WIDTH * max(float(self.active[-1]), self.interval)


@dataclass(frozen=True)
class Throughput:
    """One source, ready to show."""

    source: str
    sentence: str
    figure: Markup
    rows: tuple[tuple[str, ...], ...]


def read_throughput(run: Path, sources: list[str]) -> list[Throughput]:
    """Of every source that has timelines with points; sources that wrote no tokens (replayed ones) have none."""
    shown: list[Throughput] = []
    for source in sources:
        recorded = timelines(RunFolder(run).source(source).root)
        points = together(recorded)
        if points.values and any(row[4] for row in points.values.values()):
            started = min(one.started for one in recorded)
            shown.append(_shown(source, f"speed{len(shown)}", points, started, len(recorded)))
    return shown


def rates(points: Points, started: float, most: int) -> Rates:
    """Rates in at most so many intervals. One that generating covers less than half of counts as half covered."""
    points = Points(points.interval, dict(points.values))
    points.thin(most)
    numbers = np.array(sorted(points.values))
    rows = np.array([points.values[number] for number in numbers.tolist()])
    covered = np.clip(rows[:, 0], points.interval / 2, points.interval)  # several processes cover it several times
    pauses = (np.diff(numbers) - 1) * points.interval
    return Rates(
        at=np.maximum((numbers + 0.5) * points.interval - started, 0.0),
        interval=points.interval,
        values={name: rows[:, column] / covered for name, column in zip(RATES, (1, 2, 4), strict=True)},
        after_pause={int(n) + 1: float(pauses[n]) for n in np.flatnonzero(pauses >= PAUSE)},
    )


def _shown(source: str, name: str, points: Points, started: float, processes: int) -> Throughput:
    speeds = rates(points, started, DRAWN)
    total = np.sum(list(points.values.values()), axis=0)
    span = speeds.at[-1] + speeds.interval / 2
    generating = sum(min(row[0], points.interval) for row in points.values.values()) or points.interval
    parts = [
        f"{rate(total[column] / generating, digits)} {what} per second on average "
        f"(highest {rate(float(speeds.values[what].max()), digits)})"
        for what, column, digits in zip(RATES, (1, 2, 4), (1, 0, 0), strict=True)
    ]
    paused = [seconds(length) for length in speeds.after_pause.values()]
    interrupted = f", paused {counted(len(paused), 'time')} ({', '.join(paused[:3])}{', …' if len(paused) > 3 else ''})"
    sentence = (
        f"Over {seconds(float(span))} from the first start to the last answer{interrupted if paused else ''}, "
        f"{counted(processes, 'process', 'processes')}: {'; '.join(parts)}."
    )
    return Throughput(source, sentence, _figure(name, source, sentence, speeds), _table(rates(points, started, TABLED)))


def _table(speeds: Rates) -> tuple[tuple[str, ...], ...]:
    columns = list(zip(RATES, (2, 0, 0), strict=True))
    return tuple(
        (
            seconds(max(0.0, float(at - speeds.interval / 2))),
            *(rate(float(speeds.values[name][n]), digits) for name, digits in columns),
        )
        for n, at in enumerate(speeds.at)
    )


def _figure(name: str, source: str, sentence: str, speeds: Rates) -> Markup:
    label = f"{source}: requests and tokens per second over time. {sentence}"

    def draw(figure: Figure, width: int) -> None:
        pixels, legend = figure.get_figheight() * 72, 0 if width == WIDE else 22
        left, high = 58 / width, (pixels - 46 - 46 - 24 - legend) / 2 / pixels
        below = figure.add_axes((left, 46 / pixels, 0.975 - left, high))
        above = figure.add_axes((left, 1 - 24 / pixels - high, 0.975 - left, high), sharex=below)
        _draw(above, speeds, {"requests": SERIES[0]}, "requests per second")
        _draw(below, speeds, {"prompt tokens": SERIES[1], "written tokens": SERIES[0]}, "tokens per second", legend)
        above.tick_params(axis="x", labelbottom=False)
        wide = width == WIDE
        below.legend(
            loc="lower right" if wide else "lower left", bbox_to_anchor=(float(wide), 1.0), ncols=2, frameon=False,
            borderpad=0, borderaxespad=0.3, handlelength=1.4, columnspacing=1.2,
        )  # fmt: skip
        _ticks(below, speeds)

    return responsive(name, label, draw, 330, 352)


def _draw(axes: Axes, speeds: Rates, colours: dict[str, str], title: str, pad: float = 0) -> None:
    x = _place(speeds)
    starts = [0, *speeds.after_pause, len(x)]
    for line, (name, colour) in enumerate(colours.items()):
        for begin, end in pairwise(starts):
            (drawn,) = axes.plot(x[begin:end], speeds.values[name][begin:end], color=colour, linewidth=1.8)
            drawn.set_label(name if begin == 0 else f"_{name}")
            drawn.set_linestyle("-" if line == 0 else (0, (5, 1.5)))
            drawn.set_marker("o" if end - begin == 1 else "")
    for begin in speeds.after_pause:
        axes.axvspan(x[begin - 1], x[begin], color=MUTED, alpha=0.18, linewidth=0)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(title, loc="left", fontsize=12, color=INK, pad=6 + pad)


def _place(speeds: Rates) -> np.ndarray:
    """Where intervals are drawn: time without the pauses, each of which is as wide as any other."""
    pauses = np.array([sum(begin <= n for begin in speeds.after_pause) for n in range(len(speeds.at))])
    return np.asarray(speeds.active + speeds.gap * pauses)


def _ticks(axes: Axes, speeds: Rates) -> None:
    """Marks round times of the time without pauses, which are drawn where that time is."""
    active, gap = speeds.active, speeds.gap
    unit, name = next((u, n) for u, n in ((3600.0, "h"), (60.0, "min"), (1.0, "s")) if active[-1] >= 2 * u or u == 1.0)
    marks = [mark for mark in MaxNLocator(6).tick_values(0, active[-1] / unit) if 0 <= mark * unit <= active[-1]]
    before = [gap * sum(active[b] <= mark * unit for b in speeds.after_pause) for mark in marks]
    axes.set_xticks([mark * unit + more for mark, more in zip(marks, before, strict=True)], [f"{m:g}" for m in marks])
    axes.set_xlim(0, max(float(_place(speeds)[-1]) + speeds.interval / 2, 1.0))
    axes.set_xlabel(f"time spent generating, {name}")
