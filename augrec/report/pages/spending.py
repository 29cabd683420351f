"""The table of what a run spent, on the page of a run and of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from augrec.report.measures.spending import Spending, co2_grams
from augrec.report.render.tables import Cell, Table, numbers, table, word, words
from augrec.report.render.wording import count, energy, grams, seconds


def spending_table(spent: Sequence[Spending], grams_per_kwh: float | None) -> Table | None:
    """Time, energy and emissions by kind of work."""
    rows = [
        [
            word(one.what),
            Cell(count(one.pieces), one.pieces),
            Cell(seconds(one.seconds), one.seconds),
            Cell(energy(one.energy_joules), one.energy_joules, _partly(one)),
            Cell(grams(emitted := co2_grams(one.energy_joules, grams_per_kwh)), emitted),
        ]
        for one in spent
    ]
    notes = ["Energy is that of devices and CPU packages by their own counters; a dash: no counter could be read."]
    if any(one.counted for one in spent):
        factor = "no factor of the grid is given" if grams_per_kwh is None else f"{grams_per_kwh:g} g CO2e per kWh"
        notes.append(f"Emissions: {factor} (co2_g_per_kwh).")
    columns = (*words("spent on"), *numbers("pieces", "time|one after the other", "energy", "CO2e"))
    return table("spending-table", "What the run spent", columns, rows, notes)


def _partly(one: Spending) -> tuple[str, ...]:
    """How many pieces were counted, where not all were."""
    return (f"{count(one.counted)} of {count(one.pieces)} counted",) if 0 < one.counted < one.pieces else ()
