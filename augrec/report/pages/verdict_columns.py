"""The columns of every table of comparisons: the verdict, how large the difference is, and every test behind it."""

from __future__ import annotations

from dataclasses import fields

from augrec.report.numbers.comparison import Comparison
from augrec.report.numbers.verdicts import few_differ, verdict
from augrec.report.render.tables import (
    Cell,
    Column,
    difference_cell,
    interval_cell,
    numbers,
    p_cell,
    word,
    words,
)
from augrec.report.render.wording import number, per_cent, signed, signed_percent

CSV = tuple(field.name for field in fields(Comparison))
"""What a CSV holds of a comparison, at full precision."""


def verdict_columns(alpha: float) -> tuple[Column, ...]:
    """The headings of `verdict_cells`.

    Args:
        alpha: intervals cover 1 - alpha.
    """
    return (
        *words("verdict"),
        *numbers(
            "difference", f"{per_cent(1 - alpha)}\u00a0interval|simultaneous", "relative", "effect|d_z", "margin|±",
            "p\u00a0users|t-test", "p\u00a0users|Holm", "p\u00a0users|sign flips", "detectable|users, 80\u00a0%",
            "p\u00a0equivalence|users, Holm", "p\u00a0seeds|t-test", "detectable|seeds, 80\u00a0%",
            "p\u00a0equivalence|seeds",
        ),
    )  # fmt: skip


def verdict_cells(compared: Comparison, metric: str, alpha: float, digits: int = 4) -> list[Cell]:
    """One comparison as a row.

    Args:
        compared: after correction.
        metric: for its direction.
        alpha: the level of the verdict.
        digits: after the point, of what is in the unit of the metric.
    """
    users, seeds = compared.users_reason or "", compared.seeds_reason or ""
    return [
        verdict_cell(compared, metric, alpha),
        difference_cell(compared.difference, digits=digits),
        interval_cell(compared.family_low, compared.family_high, digits=digits),
        Cell(signed_percent(compared.relative), compared.relative),
        Cell(signed(compared.effect, 2), compared.effect),
        Cell(number(compared.margin, digits), compared.margin),
        p_cell(compared.p_users, note=users),
        p_cell(compared.p_users_holm, note=users),
        p_cell(compared.p_users_randomisation, note=users),
        Cell(number(compared.detectable_users, digits), compared.detectable_users, note=users),
        p_cell(compared.p_equivalence_users_holm, note=users),
        p_cell(compared.p_seeds, note=seeds),
        Cell(number(compared.detectable_seeds, digits), compared.detectable_seeds, note=seeds),
        p_cell(compared.p_equivalence_seeds, note=seeds),
    ]


def verdict_cell(compared: Comparison, metric: str, alpha: float) -> Cell:
    """The word, and under it how many users differ, where these are few; its reason for those who point at it."""
    found, few = verdict(compared, metric, alpha), few_differ(compared)
    return word(found.word, strong=found.shown, note=found.why, under=(few,) if few else ())
