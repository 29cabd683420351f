"""What the plots of a comparison share: places by the pixel, labels that fit, rows of names, and markers."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from augrec.report.render.legend import Look
from augrec.report.render.safe_text import one_line
from augrec.report.render.svg import MUTED, PAPER, inline_svg, page_style

LETTER = 7.4
"""Width of a letter of a label in CSS pixels; wide letters count twice."""


def small(name: str, label: str, draw: Callable[[Axes], None], *, height: int = 168) -> Markup:
    """One of several small figures side by side, 272 CSS pixels wide."""
    with page_style():
        figure = Figure(figsize=(272 / 72, height / 72))
        axes = figure.add_axes((0.165, 40 / height, 0.8, 1 - 52 / height))
        draw(axes)
        axes.tick_params(labelsize=11, labelcolor=MUTED, length=0)
        axes.xaxis.label.set_fontsize(11)
        axes.yaxis.label.set_fontsize(11)
        return inline_svg(figure, name, label)


def box(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes by CSS pixels from the figure's top left corner."""
    across, down = figure.get_figwidth() * 72, figure.get_figheight() * 72
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def fitted(text: str, letters: int) -> str:
    """The label on one line, cut where it would be wider than `letters` letters.

    A straight apostrophe becomes a typographic one: the SVG's font names are found by theirs.
    """
    text = one_line(text).replace("'", "’")
    room, shown = float(letters), ""
    for letter in text:
        room -= _width(letter)
        if room < 0:
            return shown[:-1].rstrip() + "…"
        shown += letter
    return shown


def _width(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def label_width(names: Sequence[str], most: int) -> float:
    """CSS pixels for a column of labels of at most `most` letters."""
    longest = max((sum(map(_width, fitted(name, most))) for name in names), default=0)
    return 14 + LETTER * max(4, longest)


def name_rows(axes: Axes, names: Sequence[str], letters: int, *, above: bool, bold: Sequence[bool] = ()) -> None:
    """One row per name, from the top; the names stand to the left of the rows, or above them."""
    strong = [*bold, *[False] * (len(names) - len(bold))]
    shown = [fitted(name, letters) for name in names]
    axes.set_yticks(range(len(names)), [""] * len(names) if above else shown)
    for place, name in enumerate(shown):
        weight = "bold" if strong[place] else "normal"
        if above:
            ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5}  # lines do not run through the name
            where = ("axes fraction", "data")
            axes.annotate(name, (0, place), (0, 10), where, "offset points", fontweight=weight, bbox=ground)
        else:
            axes.get_yticklabels()[place].set_fontweight(weight)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(names) - 0.45, -0.8 if above else -0.55)
    axes.grid(axis="y", visible=False)


def mark(axes: Axes, x: float, y: float, look: Look) -> None:
    """One marker of a kind of arm."""
    inner, rim, width = (look.colour, PAPER, 0.7) if look.filled else (PAPER, look.colour, 1.6)
    axes.scatter(
        [x], [y], s=62 * (1.3 if look.filled else 1), marker=look.marker,
        facecolors=inner, edgecolors=rim, linewidths=width, zorder=5, clip_on=False,
    )  # fmt: skip
