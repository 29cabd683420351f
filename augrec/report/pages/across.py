"""A table over several data sets: each one's effect with its interval, and their random-effects mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from augrec.report.numbers.comparison import Comparison
from augrec.report.numbers.synthesis import Synthesis, random_effects
from augrec.report.render.tables import Cell, Table, numbers, p_cell, table, word, words
from augrec.report.render.wording import DASH, per_cent, signed_percent


@dataclass(frozen=True)
class Effect:
    """The relative difference of one row on one data set, in shares of what it is compared with."""

    relative: float
    low: float | None
    high: float | None
    error: float


@dataclass(frozen=True)
class Across:
    """One row and metric of a table that several data sets have.

    Attributes:
        table, label, against, metric: which; `against` is what it is compared with on every one of them.
        effects: by data set.
        together: their mean; None where a data set has no error.
    """

    table: str
    label: str
    against: str
    metric: str
    effects: Mapping[str, Effect]
    together: Synthesis | None


def effect_of(compared: Comparison | None) -> Effect | None:
    """The effect of a comparison; None where it has no error, or nothing to be a share of."""
    if compared is None or compared.relative is None or not compared.reference or compared.error is None:
        return None
    scale = abs(compared.reference)
    low, high = (None if end is None else end / scale for end in (compared.ci_low, compared.ci_high))
    return Effect((compared.difference or 0.0) / scale, low, high, compared.error / scale)


def together(effects: Sequence[Effect], alpha: float) -> Synthesis | None:
    """The random-effects mean of effects, one a data set."""
    return random_effects([effect.relative for effect in effects], [effect.error for effect in effects], alpha)


def across_table(
    name: str, title: str, rows: Sequence[Across], titles: Mapping[str, str], alpha: float
) -> Table | None:
    """A row for every row and metric that several data sets have.

    Args:
        name, title: of the table they come from.
        rows: those of it.
        titles: data set -> title, in order.
        alpha: intervals cover 1 - alpha.
    """
    shown = [dataset for dataset in titles if any(dataset in row.effects for row in rows)]
    cells = [
        [
            *(word(text) for text in (row.label, row.against, row.metric)),
            *(_effect_cell(row.effects.get(dataset)) for dataset in shown),
            *_together_cells(row.together),
        ]
        for row in rows
    ]
    level = per_cent(1 - alpha)
    columns = (
        *words("variant", "against", "metric"),
        *numbers(*(f"{titles[dataset]}|{level} interval" for dataset in shown)),
        *numbers(f"mean|{level} interval", "p|mean", "spread|over data sets"),
    )
    caption = f"{title}: relative differences on each data set, and their random-effects mean"
    return table(f"{name}-across", caption, columns, cells, [NOTE])


NOTE = (
    "The mean is that of a random-effects model (restricted maximum likelihood) with Hartung and Knapp's interval: "
    "what to expect on data sets like these, of which two or three say little. Spread: the standard deviation of the "
    "data sets' own effects around it. The standard error of each is over its users and training seeds. p is not "
    "corrected. Data sets are not ranked."
)


def _effect_cell(effect: Effect | None) -> Cell:
    if effect is None:
        return Cell()
    return Cell(signed_percent(effect.relative), effect.relative, under=(_ends(effect.low, effect.high),))


def _together_cells(together: Synthesis | None) -> list[Cell]:
    if together is None:
        return [Cell(), Cell(), Cell()]
    mean = Cell(signed_percent(together.mean), together.mean, under=(_ends(together.low, together.high),))
    return [mean, p_cell(together.p), Cell(f"{100 * together.tau:.1f}\u00a0%", together.tau)]


def _ends(low: float | None, high: float | None) -> str:
    return DASH if low is None or high is None else f"{signed_percent(low)} to {signed_percent(high)}"
