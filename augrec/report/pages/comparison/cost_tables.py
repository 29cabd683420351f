"""Tables of what the texts cost, and of what was gained for it."""

from __future__ import annotations

from typing import Any

from augrec.report.pages.comparison.looks import arm_looks, arm_titles, recommender_titles, source_looks
from augrec.report.render.tables import Cell, Column, Table, named, numbers, table, word, words
from augrec.report.render.wording import DASH, count, seconds


def money(value: float | None) -> str:
    """US dollars: cents, and three digits below a dollar."""
    if value is None:
        return DASH
    return f"{value:,.2f}".replace(",", "\u202f") if value >= 1 else significant(value)


def significant(value: float | None, digits: int = 3) -> str:
    """Three significant digits, with a true minus and without an exponent from a billionth to a billion."""
    if value is None:
        return DASH
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-9 <= abs(value) < 1e9:
        text = f"{float(text):.12f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def energy(joules: float | None) -> str:
    """Joules as watt-hours or kilowatt-hours."""
    if joules is None:
        return DASH
    hours = joules / 3600
    return f"{significant(hours / 1000)} kWh" if hours >= 1000 else f"{significant(hours)} Wh"


def priced_as(content: dict[str, Any]) -> list[tuple[str, str]]:
    """(model, date) of every price, in the order in which they are met."""
    found = [(price["model"], price["dated"]) for one in content["cost"] for price in one.get("prices") or []]
    return list(dict.fromkeys(found))


def cost_table(content: dict[str, Any]) -> Table | None:
    """Requests, tokens, time and money of every source."""
    looks, listed = source_looks(content), priced_as(content)
    rows = []
    for one in content["cost"]:
        usd = {(price["model"], price["dated"]): price.get("usd") for price in one.get("prices") or []}
        about = "≈\u00a0" if one.get("estimated") else ""
        tokens = [one.get("prompt_tokens"), one.get("completion_tokens")]
        device = (f"{count(one['devices'])} × {one['device']}",) if one.get("device") and one.get("devices") else ()
        rows.append(
            [
                named(one["source"], looks),
                word(one.get("model")),
                Cell(count(one.get("requests")), one.get("requests")),
                *(Cell(DASH if n is None else about + count(n), n) for n in tokens),
                Cell(seconds(one.get("device_seconds")), one.get("device_seconds"), device),
                Cell(energy(one.get("energy_joules")), one.get("energy_joules")),
                *(Cell(money(usd.get(price)), usd.get(price)) for price in listed),
            ]
        )
    columns = words("source", "written by") + numbers(
        "requests", "tokens|read", "tokens|written", "device time", "energy"
    )
    columns += tuple(Column("USD", sub=f"{model}, {dated}") for model, dated in listed)
    notes = []
    if any(one.get("estimated") for one in content["cost"]):
        notes.append("≈: counted from the texts with the local tokenizer, because the source recorded no tokens.")
    if listed:
        notes.append("USD: what these tokens would cost at the list price of that day, whatever really wrote them.")
    return table("cost-table", "What the texts cost", columns, rows, notes)


def per_cost_table(content: dict[str, Any]) -> Table | None:
    """Improvement over the baseline for each hour and each dollar."""
    arms, recommenders, looks = arm_titles(content), recommender_titles(content), arm_looks(content)
    rows = [
        [
            named(one["arm"], looks, arms),
            word(recommenders.get(one["recommender"], one["recommender"])),
            word(one.get("metric")),
            _percents(one.get("improvement_percent")),
            Cell(significant(one.get("device_hours")), one.get("device_hours")),
            Cell(
                money(one.get("usd")), one.get("usd"), (f"as {one['price_model']}",) if one.get("price_model") else ()
            ),
            _percents(one.get("percent_per_device_hour")),
            _percents(one.get("percent_per_usd")),
        ]
        for one in content["per_cost"]
    ]
    columns = words("arm", "recommender", "metric")
    columns += numbers("improvement", "device hours", "USD", "gain per|device hour", "gain per|USD")
    baseline = arms.get(content["baseline"], content["baseline"])
    return table("per-cost-table", f"Improvement over “{baseline}” for what it cost", columns, rows)


def _percents(value: float | None) -> Cell:
    sign = "+" if value is not None and value > 0 else ""
    return Cell(DASH if value is None else f"{sign}{significant(value)}\u00a0%", value)
