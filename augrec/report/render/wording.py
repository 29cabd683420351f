"""Numbers as a reader wants them: a true minus sign, fixed digits, and never a p-value of zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

from augrec.artefacts.counts import noun

DASH = "–"


def number(value: float | None, digits: int = 4) -> str:
    """0.1234, or a dash when there is no value."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 4) -> str:
    """+0.0123 or −0.0123."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:+.{digits}f}".replace("-", "−")


def p_value(value: float | None) -> str:
    """0.012, or "< 0.001" below that."""
    if value is None:
        return DASH
    return "<\u00a00.001" if value < 0.001 else f"{value:.3f}"


def p_equals(value: float) -> str:
    """ "p = 0.012" or "p < 0.001"."""
    return f"p\u00a0{p_value(value)}" if value < 0.001 else f"p\u00a0=\u00a0{p_value(value)}"


def interval(low: float | None, high: float | None, digits: int = 4) -> str:
    """−0.0010 to +0.0123."""
    return DASH if low is None or high is None else f"{signed(low, digits)} to {signed(high, digits)}"


def count(value: object) -> str:
    """Thousands set apart by a narrow space; anything but an integer is shown as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}".replace(",", "\u202f")
    return DASH if value is None else str(value)


def rate(value: float | None, digits: int = 0) -> str:
    """A rate such as tokens per second."""
    return DASH if value is None else f"{value:,.{digits}f}".replace(",", "\u202f")


def percent(value: float | None) -> str:
    """A share in [0, 1] as "12 %"; below one per cent, but not zero, "< 1 %"."""
    if value is None or not math.isfinite(value):
        return DASH
    return "<\u00a01\u00a0%" if 0 < value < 0.01 else f"{100 * value:.0f}\u00a0%"


def per_cent(value: float) -> str:
    """A share that somebody chose, as it was written: "2 %", "0.5 %"."""
    return f"{100 * value:g}\u00a0%"


def signed_percent(value: float | None) -> str:
    """A relative difference: "+1.2 %"."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{signed(100 * value, 1)}\u00a0%"


def seconds(value: float | None) -> str:
    """12.3 s, 4 min 05 s, 2 h 03 min."""
    if value is None:
        return DASH
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def counted(number_of: int, singular: str, plural: str | None = None) -> str:
    """1 seed, 5 seeds."""
    return f"{count(number_of)} {noun(number_of, singular, plural)}"


def significant(value: float | None) -> str:
    """Three significant digits, with a true minus and without an exponent from a billionth to a billion."""
    if value is None:
        return DASH
    text = f"{value:.3g}"
    if "e" in text and 1e-9 <= abs(value) < 1e9:
        text = f"{float(text):.12f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def energy(joules: float | None) -> str:
    """Joules as watt-hours or kilowatt-hours."""
    if joules is None:
        return DASH
    hours = joules / 3600
    return f"{significant(hours / 1000)} kWh" if hours >= 1000 else f"{significant(hours)} Wh"


def grams(value: float | None) -> str:
    """Grams or kilograms."""
    if value is None:
        return DASH
    return f"{significant(value / 1000)} kg" if value >= 1000 else f"{significant(value)} g"


def answers_in_words(task: str) -> str:
    """ "user profiles" for user_profile."""
    return task.replace("_", " ") + ("" if task.endswith("s") else "s")
