"""Tables of the texts themselves: their form, how far sources agree, and whether they fit the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from augrec.report.pages.comparison.looks import source_looks
from augrec.report.render.tables import Cell, Table, named, numbers, table, word, words
from augrec.report.render.wording import DASH, count, number, p_value, percent

Numbers = dict[str, Any]


def share(value: float | None) -> Cell:
    """A share in 0..1 as a cell."""
    return Cell(percent(value), value)


def counted(value: int | None) -> Cell:
    """A number of things as a cell."""
    return Cell(count(value), value)


def plain(value: float | None, digits: int = 2) -> Cell:
    """A number as a cell."""
    return Cell(number(value, digits), value)


def estimate(value: Numbers | None) -> Cell:
    """A share with its interval under it."""
    value = value or {}
    between = _between(value.get("low"), value.get("high"))
    return Cell(percent_1(value.get("mean")), value.get("mean"), (between,) if between else ())


def percent_1(value: float | None) -> str:
    """A share as "51.3 %"."""
    return DASH if value is None else f"{100 * value:.1f}\u00a0%".replace("-", "−")


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{percent_1(low)} to {percent_1(high)}"


def task_name(task: str | None) -> str:
    """A task as words."""
    return (task or DASH).replace("_", " ")


def intrinsic_table(content: dict[str, Any]) -> Table | None:
    """The form of the texts, one row per source and task."""
    looks = source_looks(content)
    rows = []
    for one in content["intrinsic"]:
        length = one.get("words_per_text") or {}
        reasons = [f"{count(n)} {reason}" for reason, n in (one.get("failed_by_reason") or {}).items()]
        low, high = length.get("p5"), length.get("p95")
        spread = () if low is None or high is None else (f"{low:.0f} to {high:.0f}",)
        rows.append(
            [
                named(one["source"], looks),
                word(task_name(one.get("task"))),
                counted(one.get("records")),
                Cell(count(one.get("failed")), one.get("failed"), tuple(reasons[:4]), strong=bool(one.get("failed"))),
                share(one.get("first_attempt_share")),
                share(one.get("repaired_share")),
                share(one.get("distinct_share")),
                Cell(number(length.get("mean"), 0), length.get("mean"), spread),
                counted(one.get("vocabulary")),
                plain(one.get("distinct_per_1000"), 0),
                share(one.get("repetition")),
            ]
        )
    columns = words("source", "task") + numbers(
        "asked", "failed", "usable|at first try", "repaired", "distinct|texts", "words|mean, 5–95 %", "vocabulary|words"
    )
    columns += numbers("distinct words|per 1,000", "repeated|trigrams")
    return table("intrinsic-table", "The form of the texts", columns, rows)


def agreement_table(content: dict[str, Any]) -> Table | None:
    """How far two sources say the same of the same user or item."""
    rows = []
    for one in content["agreement"]:
        fields = [f"{name}: {percent(value)}" for name, value in (one.get("fields") or {}).items()]
        rows.append(
            [
                word(f"{one['a']} and {one['b']}"),
                word(task_name(one.get("task"))),
                counted(one.get("entities")),
                share(one.get("exact")),
                plain(one.get("cosine")),
                plain(one.get("cosine_strangers")),
                word(", ".join(fields)),
            ]
        )
    columns = (*words("sources", "task"), *numbers("in both", "equal", "cosine|same", "cosine|strangers"))
    return table("agreement-table", "Agreement pair by pair", (*columns, *words("by field")), rows)


def consistency_table(content: dict[str, Any]) -> Table | None:
    """Whether the genres a profile names are those of the user's own history."""
    looks = source_looks(content)
    rows = [
        [
            named(one["source"], looks),
            counted(one.get("users")),
            share(one.get("liked_in_history")),
            share(one.get("strangers")),
            share(one.get("liked_in_top3")),
            share(one.get("disliked_in_history")),
        ]
        for one in content["consistency"]
    ]
    columns = words("source") + numbers(
        "users",
        "liked genres|in the history",
        "liked genres|of a stranger",
        "liked|in the top 3",
        "disliked|in the history",
    )
    return table("consistency-table", "Genres in the profile against the user's training history", columns, rows)


def position_table(content: dict[str, Any]) -> Table | None:
    """Whether picks depend on the place in the list of candidates."""
    looks = source_looks(content)
    rows = [
        [
            named(one["source"], looks),
            counted(one.get("users")),
            counted(one.get("labels")),
            share(one.get("first_share")),
            share(1 / one["labels"] if one.get("labels") else None),
            Cell(p_value(one.get("p_positive")), one.get("p_positive")),
            Cell(p_value(one.get("p_negative")), one.get("p_negative")),
        ]
        for one in content["position"]
    ]
    columns = words("source") + numbers(
        "users", "places", "first place|share", "first place|by chance", "p likely|uniform", "p unlikely|uniform"
    )
    return table("position-table", "Picks by place in the list shown; p by chi-square against uniform", columns, rows)


def leak_table(content: dict[str, Any]) -> Table | None:
    """How near each user's own items lie to the profile, by split."""
    looks = source_looks(content)
    rows = []
    for one in content["leak"]:
        between = _between(one.get("gap_low"), one.get("gap_high"))
        gap = Cell(percent_1(one.get("gap")), one.get("gap"), (between,) if between else ())
        cells = [estimate(one.get(split)) for split in ("train", "valid", "test")]
        name = named(one["source"], looks)
        by_train = (one.get("explained") or {}).get("test")
        rows.append([name, counted(one.get("users")), *cells, Cell(percent_1(by_train), by_train), gap])
    columns = (*words("source"), *numbers("users", "train", "valid", "test", "test|by training alone", "train − test"))
    return table(
        "leak-table", "Percentile of the user's items by likeness to the profile; chance is 50 %", columns, rows
    )


def memorisation_table(content: dict[str, Any]) -> Table | None:
    """The same model asked with titles and without them."""
    rows = [
        [
            word(f"{one['named']} and {one['anonymous']}"),
            word(task_name(one.get("task"))),
            counted(one.get("entities")),
            share(one.get("exact")),
            plain(one.get("cosine")),
            plain(one.get("cosine_strangers")),
            share(one.get("consistency_named")),
            share(one.get("consistency_anonymous")),
            share(one.get("same_choice")),
            share(one.get("chance_of_choice")),
        ]
        for one in content["memorisation"]
    ]
    columns = words("with and without titles", "task") + numbers(
        "entities", "equal", "cosine|same", "cosine|strangers", "fits history|with titles", "fits history|without",
        "likely one|the same", "likely one|by place",
    )  # fmt: skip
    return table("memorisation-table", "Memorisation probe", columns, rows)


@dataclass(frozen=True)
class Matrix:
    """Agreement of every source with every other one on a task: cells by (row, column), each with its shade in 0..1."""

    task: str
    sources: tuple[str, ...]
    cells: dict[tuple[str, str], tuple[Cell, float]]


def agreement_matrices(content: dict[str, Any]) -> list[Matrix]:
    """One matrix per task with three sources or more; with fewer the table says it all."""
    found = []
    for task in dict.fromkeys(one.get("task") for one in content["agreement"]):
        pairs = [one for one in content["agreement"] if one.get("task") == task]
        sources = tuple(dict.fromkeys(name for one in pairs for name in (one["a"], one["b"])))
        cells = {}
        for one in pairs:
            for key in ((one["a"], one["b"]), (one["b"], one["a"])):
                cells[key] = _matrix_cell(one)
        if len(sources) > 2:
            found.append(Matrix(task_name(task), sources, cells))
    return found


def _matrix_cell(one: Numbers) -> tuple[Cell, float]:
    strangers = one.get("cosine_strangers")
    under = [] if strangers is None else [f"strangers {number(strangers, 2)}"]
    under += [] if one.get("exact") is None else [f"equal {percent(one['exact'])}"]
    shade = one.get("cosine") if one.get("cosine") is not None else one.get("exact")
    return Cell(number(one.get("cosine"), 2), one.get("cosine"), tuple(under)), min(1.0, max(0.0, shade or 0.0))
