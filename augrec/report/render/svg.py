"""A matplotlib figure as inline SVG that follows the page: its colours, its font, and the same bytes every time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Colours that stand for the page's own; a figure drawn with them follows light and dark.
INK, MUTED, GRID, PAPER = "#010101", "#010102", "#010103", "#010104"
SERIES = ("#010110", "#010111", "#010112", "#010113")
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "rule", PAPER: "paper"}
_VARIABLES |= {colour: f"series-{n}" for n, colour in enumerate(SERIES)}


def plot_style(ink: str, muted: str, rule: str, size: float) -> dict[Any, Any]:
    """What all plots have in common, inline or as files.

    Args:
        ink, muted, rule: colours of words, of what explains them, and of lines.
        size: of letters, in points.
    """
    return {
        "svg.fonttype": "none",
        "font.size": size,
        "font.family": "DejaVu Sans",  # comes with matplotlib and is wide: what fits in it fits in the page's font
        "axes.edgecolor": rule,
        "axes.labelcolor": muted,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": rule,
        "grid.linewidth": 0.8,
        "axes.axisbelow": True,
        "xtick.color": rule,
        "ytick.color": rule,
        "xtick.labelcolor": muted,
        "ytick.labelcolor": ink,
        "text.color": ink,
        "text.parse_math": False,  # names are text, whatever dollar signs they hold
    }


_STYLE = plot_style(INK, MUTED, GRID, 12.0) | {"figure.facecolor": "none", "axes.facecolor": "none"}


@contextmanager
def page_style() -> Iterator[None]:
    """Draws in the page's colours; figures must be made and rendered inside."""
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def inline_svg(figure: Figure, name: str, label: str, css_class: str = "") -> Markup:
    """The figure as an `<svg>` element, one unit per CSS pixel at its natural width.

    Args:
        figure: drawn inside `page_style`.
        name: prefix of the ids in it, unique on the page.
        label: what a reader who cannot see the figure is told.
        css_class: class of the element.
    """
    out = io.StringIO()
    with rc_context({"svg.hashsalt": name}):
        FigureCanvasSVG(figure)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\b(id="|xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"#0101[01][0-9a-f]", lambda found: _variable(found[0]), text)
    text = re.sub(r"""(style="[^"]*?)'DejaVu Sans'(, [^;"<]*)?""", r"\g<1>var(--sans)", text)  # not inside of labels
    view_box = re.search(r'viewBox="0 0 ([\d.]+) [\d.]+"', text)
    width = float(view_box[1]) if view_box else 0.0
    head = (
        f'<svg class="{escape(css_class)}" role="img" aria-label="{escape(label)}" '
        f'style="max-width: {width:.0f}px" {view_box[0] if view_box else ""} '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return Markup(re.sub(r"<svg[^>]*>", lambda _: head, text, count=1))


def _variable(colour: str) -> str:
    return f"var(--{_VARIABLES[colour]})" if colour in _VARIABLES else colour
