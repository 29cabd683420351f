"""Several local models side by side: what they are, and the gain by their size and by the number of users asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from augrec.report.measures.local_models import LocalModel
from augrec.report.measures.spending import co2_grams
from augrec.report.numbers.comparison import Comparison
from augrec.report.pages.comparison.legend import arm_looks
from augrec.report.pages.comparison.results import ComparisonResults
from augrec.report.pages.verdict_columns import verdict_cell
from augrec.report.render.axes import small
from augrec.report.render.svg import MUTED, SERIES
from augrec.report.render.tables import Cell, Table, named, numbers, table, word, words
from augrec.report.render.wording import DASH, count, energy, grams, percent, rate, seconds, signed_percent, significant

GIB = 2**30
ORDER = {"tail": "-", "random": ":", "head": "--"}
"""The line of each order of users."""


@dataclass(frozen=True)
class Gain:
    """Relative difference to the baseline in the primary metric; its interval is the page's simultaneous one.

    x is what it is drawn over.
    """

    x: float
    mean: float
    low: float | None
    high: float | None


def models_table(results: ComparisonResults) -> Table | None:
    """Every model: size, validity, speed, time, energy, and its gain under each recommender."""
    looks, judges = arm_looks(results), results.recommender_titles
    rows = [
        [
            named(model.arm, looks, results.arm_titles),
            Cell(_millions(model.parameters), model.parameters),
            Cell(_gib(model.weight_bytes), model.weight_bytes),
            _share(model.valid, model.requests),
            _share(model.first, model.requests),
            Cell(rate(model.written_per_second, 1), model.written_per_second),
            Cell(seconds(model.seconds * model.devices), model.seconds * model.devices),
            Cell(energy(model.energy_joules), model.energy_joules),
            Cell(grams(emitted := co2_grams(model.energy_joules, results.co2_g_per_kwh)), emitted),
            *(cell for judge in judges for cell in _gain_cells(results, model.arm, judge)),
        ]
        for model in results.local_models
    ]
    columns = words("model") + numbers(
        "parameters", "weights|in memory", "valid", "valid|at once", "written|tokens/s", "device time", "energy", "CO2e"
    )
    for title in judges.values():
        columns += (*numbers(f"gain|{title}"), *words(f"verdict|{title}"))
    notes = [
        "Gain: relative difference to the baseline in the primary metric, over all test users. Tokens per second are "
        "those written while prompts were read too. Memory: parameters times the size of their number format."
    ]
    return table("models-table", "The local models, all asked the same", columns, rows, notes)


def budgets_table(results: ComparisonResults) -> Table | None:
    """What each model is worth when fewer users are asked, with intervals."""
    looks, judges, everybody = arm_looks(results), results.recommender_titles, _users(results)
    models = {model.source for model in results.local_models}
    rows = []
    for arm in results.arms:
        if arm.source not in models or arm.change != _changes(results, arm.source):
            continue
        asked = everybody if arm.users is None else arm.users
        rows.append(
            [
                named(arm.name, looks, results.arm_titles),
                Cell(count(asked), asked),
                Cell(percent(asked / everybody) if asked and everybody else DASH, asked),
                word(arm.users_by or ("everybody" if arm.users is None else "random")),
                *(cell for judge in judges for cell in _gain_cells(results, arm.name, judge, interval=True)),
            ]
        )
    if len(rows) == len(results.local_models):
        return None
    columns = (*words("arm"), *numbers("users asked", "share"), *words("order"))
    for title in judges.values():
        columns += (*numbers(f"gain|{title}", f"from, to|{title}"), *words(f"verdict|{title}"))
    notes = [
        "Tail: users with the fewest training interactions first. Within a budget a recommender is given what was "
        "written about these users; nothing was asked again. Item texts are given whole."
    ]
    return table("budgets-table", "Gain by how many users are asked", columns, rows, notes)


def size_figures(results: ComparisonResults) -> list[tuple[str, Markup]]:
    """(recommender, figure): gain by the number of parameters; none for fewer than two sizes."""
    sizes = {model.arm: model.parameters for model in results.local_models if model.parameters}
    if len(set(sizes.values())) < 2:
        return []
    figures = []
    for n, (judge, title) in enumerate(results.recommender_titles.items()):
        gains = [gain for arm, size in sizes.items() if (gain := _gain(results, arm, judge, size / 1e6)) is not None]
        if gains:
            label = f"{title}: gain by millions of parameters: {_told(gains)}"
            figures.append((title, small(f"size{n}", label, partial(_draw_sizes, gains=gains))))
    return figures


def budget_figures(results: ComparisonResults) -> list[tuple[str, Markup]]:
    """(model under a recommender, figure): gain by users asked, a line for each order; none without budgets."""
    figures = []
    for n, (judge, title) in enumerate(results.recommender_titles.items()):
        for m, model in enumerate(results.local_models):
            lines = _lines(results, model, judge)
            if lines:
                name = f"{results.arm_titles.get(model.arm, model.arm)}, {title}"
                told = "; ".join(f"{by}: {_told(gains)}" for by, gains in lines.items())
                label = f"{name}: gain by users asked: {told}"
                figures.append((name, small(f"budget{n}-{m}", label, partial(_draw_lines, lines=lines))))
    return figures


def _lines(results: ComparisonResults, model: LocalModel, judge: str) -> dict[str, list[Gain]]:
    """Order -> gains by users asked, from none to all of them."""
    whole = next((arm for arm in results.arms if arm.name == model.arm), None)
    if whole is None:
        return {}
    everybody = float((_users(results) if whole.users is None else whole.users) or 0)
    last = _gain(results, whole.name, judge, everybody)
    lines = {}
    for by in ORDER:
        arms = [a for a in results.arms if a.source == model.source and a.users_by == by and a.name != model.arm]
        gains = [gain for arm in arms if (gain := _gain(results, arm.name, judge, float(arm.users or 0))) is not None]
        if gains:
            gains += [last] if last is not None else []
            lines[by] = [Gain(0.0, 0.0, None, None), *sorted(gains, key=lambda gain: gain.x)]
    return lines


def _gain(results: ComparisonResults, arm: str, judge: str, x: float) -> Gain | None:
    versus = _versus(results, arm, judge)
    if versus is None or versus.relative is None:
        return None
    low, high = (
        end / versus.reference if end is not None and versus.reference else None
        for end in (versus.family_low, versus.family_high)
    )
    return Gain(x, versus.relative, low, high)


def _versus(results: ComparisonResults, arm: str, judge: str) -> Comparison | None:
    judged = next((one for one in results.judged_by(judge) if one.arm == arm), None)
    return None if judged is None else judged.versus("all", results.primary, results.baseline)


def _gain_cells(results: ComparisonResults, arm: str, judge: str, *, interval: bool = False) -> list[Cell]:
    versus, gain = _versus(results, arm, judge), _gain(results, arm, judge, 0.0)
    cells = [Cell() if gain is None else Cell(signed_percent(gain.mean), gain.mean)]
    if interval:
        known = gain is not None and gain.low is not None
        ends = f"{signed_percent(gain.low)} to {signed_percent(gain.high)}" if gain is not None and known else DASH
        cells.append(Cell(ends, gain.low if gain is not None else None))
    return [*cells, Cell() if versus is None else verdict_cell(versus, results.primary, results.alpha)]


def _changes(results: ComparisonResults, source: str | None) -> dict[str, str]:
    """What the model's own arm does not receive: controls of it differ."""
    whole = next(model.arm for model in results.local_models if model.source == source)
    return next((arm.change for arm in results.arms if arm.name == whole), {})


def _users(results: ComparisonResults) -> int | None:
    return (results.data.counts or {}).get("users")


def _share(part: int, whole: int) -> Cell:
    return Cell(percent(part / whole) if whole else DASH, part / whole if whole else None)


def _millions(parameters: int | None) -> str:
    return DASH if parameters is None else f"{parameters / 1e6:,.0f} M".replace(",", "\u202f")


def _gib(size: float | None) -> str:
    return DASH if size is None else f"{significant(size / GIB)} GiB"


def _told(gains: Sequence[Gain]) -> str:
    return ", ".join(f"{signed_percent(gain.mean)} at {gain.x:g}" for gain in gains)


def _draw_sizes(axes: Axes, gains: Sequence[Gain]) -> None:
    _draw_lines(axes, {"": gains})
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([gain.x for gain in gains]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{gain.x:,.0f}" for gain in gains])
    axes.margins(x=0.2)
    axes.set_xlabel("millions of parameters; height: gain, %")


def _draw_lines(axes: Axes, lines: Mapping[str, Sequence[Gain]]) -> None:
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    for n, (by, gains) in enumerate(lines.items()):
        x, y, colour = [gain.x for gain in gains], [100 * gain.mean for gain in gains], SERIES[n]
        axes.plot(x, y, ORDER.get(by, "-"), color=colour, linewidth=1.8, marker="o", markersize=3.5, label=by or None)
        for gain in gains:
            if gain.low is not None and gain.high is not None:
                ends = [100 * gain.low, 100 * gain.high]
                axes.plot([gain.x, gain.x], ends, color=colour, linewidth=0.9, alpha=0.7)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    if any(lines):
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.legend(fontsize=10, frameon=False, loc="best")
        axes.set_xlabel("users asked; height: gain, %")
