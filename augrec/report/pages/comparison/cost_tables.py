"""Tables of what the texts cost, and of what was gained for it."""

from __future__ import annotations

from augrec.report.measures.cost import Cost, Gain
from augrec.report.numbers.verdicts import verdict
from augrec.report.pages.comparison.headline import ALL
from augrec.report.pages.comparison.legend import arm_looks, source_looks
from augrec.report.pages.comparison.results import ComparisonResults
from augrec.report.render.tables import Cell, Column, Table, named, numbers, table, word, words
from augrec.report.render.wording import DASH, count, energy, seconds, significant


def money(value: float | None) -> str:
    """US dollars: cents, and three digits below a dollar."""
    if value is None:
        return DASH
    return f"{value:,.2f}".replace(",", "\u202f") if value >= 1 else significant(value)


def charges_listed(results: ComparisonResults) -> list[tuple[str, str]]:
    """(model, date) of every price, in the order in which they are met."""
    return list(dict.fromkeys((charge.model, charge.dated) for cost in results.cost for charge in cost.prices))


def cost_table(results: ComparisonResults) -> Table | None:
    """Requests, tokens, time and money of every source."""
    looks, listed = source_looks(results), charges_listed(results)
    rows = [
        [
            named(cost.source, looks),
            word(cost.model),
            Cell(count(cost.requests), cost.requests),
            _tokens(cost.prompt_tokens, cost.estimated),
            _tokens(cost.completion_tokens, cost.estimated),
            Cell(seconds(cost.device_seconds), cost.device_seconds, _device(cost)),
            Cell(energy(cost.energy_joules), cost.energy_joules),
            *(Cell(money(usd), usd) for usd in _charged(cost, listed)),
        ]
        for cost in results.cost
    ]
    columns = words("source", "written by") + numbers(
        "requests", "tokens|read", "tokens|written", "device time", "energy"
    )
    columns += tuple(Column("USD", sub=f"{model}, {dated}") for model, dated in listed)
    notes = []
    if any(cost.estimated for cost in results.cost):
        notes.append("≈: counted from the texts with the local tokenizer, because the source recorded no tokens.")
    if listed:
        notes.append("USD: what these tokens would cost at the list price of that day, whatever really wrote them.")
    return table("cost-table", "What the texts cost", columns, rows, notes)


def _tokens(tokens: int | None, estimated: bool) -> Cell:
    about = "≈\u00a0" if estimated else ""
    return Cell(DASH if tokens is None else about + count(tokens), tokens)


def _device(cost: Cost) -> tuple[str, ...]:
    return (f"{count(cost.devices)} × {cost.device}",) if cost.device and cost.devices else ()


def _charged(cost: Cost, listed: list[tuple[str, str]]) -> list[float | None]:
    """US dollars by the prices listed."""
    usd = {(charge.model, charge.dated): charge.usd for charge in cost.prices}
    return [usd.get(price) for price in listed]


def per_cost_table(results: ComparisonResults) -> Table | None:
    """Improvement over the baseline for each hour and each dollar."""
    arms, recommenders, looks = results.arm_titles, results.recommender_titles, arm_looks(results)
    rows = [
        [
            named(gain.arm, looks, arms),
            word(recommenders.get(gain.recommender, gain.recommender)),
            word(gain.metric),
            _percents(gain.improvement_percent),
            Cell(significant(gain.device_hours), gain.device_hours),
            Cell(money(gain.usd), gain.usd, (f"as {gain.price_model}",) if gain.price_model else ()),
            *(_percents(value) if _is_gain(results, gain) else Cell(note=NO_GAIN) for value in rates),
        ]
        for gain in results.per_cost
        for rates in [(gain.percent_per_device_hour, gain.percent_per_usd)]
    ]
    columns = words("arm", "recommender", "metric")
    columns += numbers("improvement", "device hours", "USD", "gain per|device hour", "gain per|USD")
    baseline = arms.get(results.baseline, results.baseline)
    notes = [f"A rate ({DASH} elsewhere) stands where the verdict over all users is better: {NO_GAIN}."]
    budgets: dict[str | None, set[int | None]] = {}
    for arm in results.arms:
        budgets.setdefault(arm.source, set()).add(arm.users)
    if any(len(users) > 1 for users in budgets.values()):
        notes.append("Of an arm within a budget: what asking about its users alone would have cost, by their tokens.")
    return table("per-cost-table", f"Improvement over “{baseline}” for what it cost", columns, rows, notes)


NO_GAIN = "what is not shown to be a gain has none for each hour"


def _is_gain(results: ComparisonResults, gain: Gain) -> bool:
    """Whether the arm is better than the baseline in the metric, over all users."""
    for judged in results.judged_by(gain.recommender):
        if judged.arm == gain.arm:
            versus = judged.versus(ALL, gain.metric, results.baseline)
            return versus is not None and verdict(versus, gain.metric, results.alpha).word == "better"
    return False


def _percents(value: float | None) -> Cell:
    sign = "+" if value is not None and value > 0 else ""
    return Cell(DASH if value is None else f"{sign}{significant(value)}\u00a0%", value)
