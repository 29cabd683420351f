"""How a metric is spread over users, on every page: quantiles as a table, and the share of users up to each value."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from augrec.report.numbers.comparison import Comparison
from augrec.report.numbers.user_spread import SHARES, UserSpread
from augrec.report.render.axes import small
from augrec.report.render.svg import MUTED
from augrec.report.render.tables import Cell, Column, Row, Table, numbers, table
from augrec.report.render.wording import number, per_cent, percent

SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)


def spread_columns() -> tuple[Column, ...]:
    """The headings of `spread_cells`."""
    titles = ["median" if share == 0.5 else f"{per_cent(share)}|of users up to" for share in SHOWN]
    return numbers(*titles, "at zero", "above|of users", "below|of users")


def spread_cells(spread: UserSpread | None, compared: Comparison | None, digits: int = 4) -> list[Cell]:
    """One row: the quantiles, who has nothing, and how many users are above and below what they are compared with."""
    if spread is None:
        return [Cell() for _ in range(len(SHOWN) + 3)]
    above, below = (None, None) if compared is None else (compared.share_above, compared.share_below)
    return [
        *(Cell(number(spread.at(share), digits), spread.at(share)) for share in SHOWN),
        Cell(percent(spread.at_zero), spread.at_zero),
        Cell(percent(above), above),
        Cell(percent(below), below),
    ]


def spread_table(name: str, metric: str, heads: Sequence[Column], rows: Sequence[Row]) -> Table | None:
    """The table; `rows` hold the cells of `heads` and of `spread_columns`."""
    caption = (
        f"{metric} over users, each user's value being the mean over seeds: quantiles, the share of users at exactly "
        "zero, and of those above and below their own value with what is compared with"
    )
    return table(name, caption, (*heads, *spread_columns()), rows)


def spread_figure(
    name: str, label: str, metric: str, spread: UserSpread, beside: UserSpread | None, colour: str
) -> Markup:
    """The share of users up to each value of one variant, for one of several small figures side by side.

    Args:
        name: unique on the page.
        label: what it shows, for those who do not see it.
        metric: the axis.
        spread: what is drawn.
        beside: the baseline's, thin behind it.
        colour: of the line.
    """

    def draw(axes: Axes) -> None:
        if beside is not None and beside is not spread:
            axes.plot(beside.quantiles, SHARES, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        axes.plot(spread.quantiles, SHARES, color=colour, linewidth=2.2, zorder=3)
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel(metric)

    return small(name, label, draw)


def spread_label(name: str, metric: str, spread: UserSpread) -> str:
    """What a figure shows, in words."""
    told = ", ".join(f"{per_cent(share)} up to {number(spread.at(share))}" for share in SHOWN)
    return f"{name}: share of users by {metric}: {told}; {percent(spread.at_zero)} at zero"
