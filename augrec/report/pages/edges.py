"""The table of what suggested edges are worth, on the page of a run and of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from augrec.report.measures.edge_worth import EdgeWorth
from augrec.report.measures.resampled_means import ResampledMean
from augrec.report.render.tables import Cell, Table, numbers, table, word, words
from augrec.report.render.wording import DASH, count, number

CAPTION = (
    "How many suggested edges are validation interactions of their user, beside as many items of the same users by "
    "item-kNN and a uniform draw from the candidates that the prompt showed; intervals of 95 % over users"
)
_JSON = TypeAdapter(tuple[EdgeWorth, ...])


def read_edge_worths(holder: Mapping[str, Any]) -> tuple[EdgeWorth, ...]:
    """Those that audit.json or import.json holds; none where it is of a version that did not judge edges."""
    return _JSON.validate_python(holder.get("edge_worth") or ())


def edges_table(found: Iterable[EdgeWorth]) -> Table | None:
    """One row per source and task; None without any."""
    rows = [
        [
            word(one.source),
            word(one.task.replace("_", " ")),
            Cell(count(one.users), one.users),
            Cell(count(one.edges), one.edges),
            Cell(count(one.known), one.known),
            *(_share(value) for value in (one.precision, one.knn, one.above_knn)),
            *(_share(value) for value in (one.choice, one.random, one.above_random)),
            word(_by_place(one)),
        ]
        for one in found
    ]
    columns = words("source", "task") + numbers("users", "edges", "in training", "right", "item-kNN", "difference")
    columns += numbers("right, of those|with a list", "drawn from|the list", "difference") + words("right by place")
    return table("edges-table", CAPTION, columns, rows)


def percent_2(share: float | None) -> str:
    """A share as "0.92 %": most are small."""
    return DASH if share is None else f"{number(100 * share, 2)}\u00a0%"


def _share(value: ResampledMean) -> Cell:
    interval = () if value.low is None else (f"{percent_2(value.low)} to {percent_2(value.high)}",)
    return Cell(percent_2(value.mean), value.mean, interval)


def _by_place(one: EdgeWorth) -> str:
    """As "1: 12 of 400, 2: 9 of 380", by place in the list shown."""
    return ", ".join(
        f"{place}: {count(right)} of {count(edges)}"
        for place, (edges, right) in enumerate(zip(one.places, one.right_at, strict=True), start=1)
    )
