"""What rows of a table cost to train, as multiples of the row they are compared with: RLMRec's Table 4 is such a table.

Seconds say more of the machine than of the models, so none are shown. They do not repeat either, and stand in no
`results.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from augrec.report.numbers.variants import Trained
from augrec.report.render.tables import Cell, Row, Table, numbers, word, words
from augrec.report.render.wording import number

NOTE = (
    "Of an epoch: the median over its epochs, evaluations not counted; of a training: all of it, evaluations on "
    "validation included. Medians over seeds, divided; in brackets the least and the most of one seed. Trainings "
    "beside each other share a machine: run with workers: 1 for a figure of the models alone."
)


@dataclass(frozen=True)
class Ratio:
    """Seconds as a multiple of the baseline's: of the medians over seeds, and the range over the seeds of both."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Times:
    """What one row cost. Ratios are None for the row of a baseline, and where the two have no seed in common."""

    label: str
    against: str | None
    epochs: float | None
    """Trained, the median over seeds; None for what is computed in one go."""
    epoch: Ratio | None
    training: Ratio | None


def times_of(label: str, found: Trained, against: str | None, baseline: Trained | None) -> Times:
    """What a row cost, beside the row that it is compared with."""
    trained = [metrics["epochs"] for metrics in found.metrics.values() if metrics.get("epochs")]
    return Times(
        label,
        against if baseline is not None else None,
        median(trained) if trained else None,
        _ratio(found.metrics, baseline.metrics, "seconds_per_epoch") if baseline else None,
        _ratio(found.metrics, baseline.metrics, "seconds") if baseline else None,
    )


def _ratio(own: Mapping[int, Mapping[str, Any]], other: Mapping[int, Mapping[str, Any]], key: str) -> Ratio | None:
    seeds = [seed for seed in own if seed in other and own[seed].get(key) and other[seed].get(key)]
    if not seeds:
        return None
    each = [own[seed][key] / other[seed][key] for seed in seeds]
    ours, theirs = (median(metrics[seed][key] for seed in seeds) for metrics in (own, other))
    return Ratio(ours / theirs, min(each), max(each))


def times_table(name: str, title: str, times: Sequence[Times]) -> Table | None:
    """A row each; None where nothing was asked for."""
    if not times:
        return None
    rows = tuple(
        Row(
            (
                word(row.label),
                word(row.against),
                Cell(number(row.epochs, 0), row.epochs),
                _cell(row.epoch),
                _cell(row.training),
            )
        )
        for row in times
    )
    columns = (*words("variant", "against"), *numbers("epochs", "epoch|÷ against", "training|÷ against"))
    return Table(f"{name}-times", f"{title}: time", columns, rows, (NOTE,))


def _cell(ratio: Ratio | None) -> Cell:
    if ratio is None:
        return Cell(number(None), None)
    spread = f" ({ratio.low:.2f} to {ratio.high:.2f})" if ratio.low != ratio.high else ""
    return Cell(f"{ratio.value:.2f}{spread}", ratio.value)
