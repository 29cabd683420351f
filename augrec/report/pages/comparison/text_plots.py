"""The plots of the texts: their length, whether they fit their user, the places that are picked, and the leak check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from augrec.report.pages.comparison.looks import source_looks
from augrec.report.pages.comparison.text_tables import percent_1, task_name
from augrec.report.pages.run.plots import WIDE, responsive
from augrec.report.render.axes import box, label_width, mark, name_rows, small
from augrec.report.render.legend import UNKNOWN, Look
from augrec.report.render.svg import GRID, INK, MUTED, PAPER, SERIES
from augrec.report.render.wording import percent

SPLITS = ("train", "valid", "test")
STRANGER = Look("stranger", "", "", "o", MUTED, filled=False)
DISLIKED = Look("disliked", "", "", "X", SERIES[1])


def length_figures(content: dict[str, Any]) -> list[tuple[str, Markup]]:
    """Words per text of every source and task, all of a task on the same axis: (name, small figure)."""
    looks = source_looks(content)
    drawn = [one for one in content["intrinsic"] if _has_counts(one.get("histogram"))]
    figures = []
    for n, one in enumerate(drawn):
        same = [other["histogram"] for other in drawn if other.get("task") == one.get("task")]
        last = max(_reached(histogram) for histogram in same)
        name = f"{one['source']}, {task_name(one.get('task'))}"
        length = one.get("words_per_text") or {}
        told = ", ".join(f"{key} {value:.0f}" for key, value in length.items() if value is not None)
        colour = looks.get(one["source"], UNKNOWN).colour

        def draw(axes: Axes, one: dict[str, Any] = one, colour: str = colour, last: float = last) -> None:
            shares = np.array(one["histogram"]["counts"], dtype=float)
            axes.stairs(100 * shares / shares.sum(), one["histogram"]["edges"], fill=True, color=colour, alpha=0.75)
            axes.set_xlim(0, last)
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.set_xlabel("words per text; height: % of texts")

        figures.append((name, small(f"length{n}", f"{name}: words per text: {told or 'as drawn'}", draw, height=140)))
    return figures


def _has_counts(histogram: dict[str, Any] | None) -> bool:
    histogram = histogram or {}
    counts, edges = histogram.get("counts") or [], histogram.get("edges") or []
    known = None not in counts and None not in edges
    return known and sum(counts) > 0 and len(edges) == len(counts) + 1


def _reached(histogram: dict[str, Any]) -> float:
    """The upper end of the last bin that holds a text."""
    held = [edge for count, edge in zip(histogram["counts"], histogram["edges"][1:], strict=True) if count]
    return float(max(held))


def _rows_figure(
    name: str,
    label: str,
    rows: Sequence[str],
    draw_rows: Any,
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


def consistency_figure(content: dict[str, Any]) -> Markup | None:
    """Liked genres found in the user's own history against those of strangers, and disliked ones found there."""
    looks = source_looks(content)
    found = [one for one in content["consistency"] if one.get("liked_in_history") is not None]
    if not found:
        return None

    def draw(axes: Axes) -> None:
        for place, one in enumerate(found):
            values = [one.get("strangers"), one["liked_in_history"]]
            if values[0] is not None:
                axes.plot([100 * value for value in values], [place] * 2, color=GRID, linewidth=3, zorder=1)
            shown = zip(values, (STRANGER, looks.get(one["source"], UNKNOWN)), strict=True)
            for value, look in (*shown, (one.get("disliked_in_history"), DISLIKED)):
                if value is not None:
                    mark(axes, 100 * value, place, look)

    told = "; ".join(
        f"{one['source']} {percent(one['liked_in_history'])}, of a stranger {percent(one.get('strangers'))}, "
        f"disliked {percent(one.get('disliked_in_history'))}"
        for one in found
    )
    label = f"Share of the genres named in a profile that occur in the user's history. {told}."
    names = [one["source"] for one in found]
    return _rows_figure("consistency", label, names, draw, "found in the user’s training history, %", limits=(0, 100))


def position_figures(content: dict[str, Any]) -> list[tuple[str, Markup]]:
    """Picks by place in the list, likely ones upwards and unlikely ones downwards: (source, small figure)."""
    figures = []
    for n, one in enumerate(content["position"]):
        up, down = (_known(one.get(kind)) for kind in ("positive", "negative"))
        if not up.size and not down.size:
            continue
        told = [f"first place {percent(one['first_share'])} of the likely picks"] if one.get("first_share") else []
        if one.get("labels"):
            told.append(f"by chance {percent(1 / one['labels'])}")
        label = f"{one['source']}: picks by place in the list: {', '.join(told) or 'as drawn'}"

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

        figures.append((one["source"], small(f"position{n}", label, draw)))
    return figures


def _known(counts: list[int | None] | None) -> np.ndarray:
    """The counts, or none at all when one is missing."""
    counts = counts or []
    return np.array([] if None in counts else counts, dtype=float)


def leak_figure(content: dict[str, Any]) -> Markup | None:
    """Percentiles of each user's items among the items outside their training, with intervals and chance."""
    looks = source_looks(content)
    found = [one for one in content["leak"] if any((one.get(split) or {}).get("mean") is not None for split in SPLITS)]
    if not found:
        return None
    shapes = {"train": ("o", True), "valid": ("D", False), "test": ("s", True)}

    def draw(axes: Axes) -> None:
        axes.axvline(50, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        for place, one in enumerate(found):
            colour = looks.get(one["source"], UNKNOWN).colour
            for offset, split in zip((-0.2, 0.0, 0.2), SPLITS, strict=True):
                value, (marker, filled) = one.get(split) or {}, shapes[split]
                shade = MUTED if split == "train" else colour
                if value.get("mean") is None:
                    continue
                if value.get("low") is not None and value.get("high") is not None:
                    ends = [100 * value["low"], 100 * value["high"]]
                    axes.plot(ends, [place + offset] * 2, color=shade, linewidth=1.6, zorder=2)
                axes.scatter(
                    [100 * value["mean"]], [place + offset], s=34, marker=marker,
                    facecolors=shade if filled else PAPER, edgecolors=shade, linewidths=1.5, zorder=3,
                )  # fmt: skip

    told = "; ".join(
        f"{one['source']}: " + ", ".join(f"{split} {percent_1((one.get(split) or {}).get('mean'))}" for split in SPLITS)
        for one in found
    )
    rivals = "among the items outside their training, by likeness to the profile"
    label = f"Percentile of each user's items {rivals}; chance is 50 %. {told}."
    names = [one["source"] for one in found]
    return _rows_figure("leak", label, names, draw, "percentile among items outside training; chance 50", row=46)
