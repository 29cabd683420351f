"""The tables of an experiment: what its page, Markdown, CSV and LaTeX show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from augrec.report.pages.experiment.times import times_table
from augrec.report.pages.experiment.values import RowValues, SweepLine, SweepPoint, TableValues, labels_of, mark_of
from augrec.report.pages.spread_of_users import SHOWN, spread_cells, spread_table
from augrec.report.pages.verdict_columns import CSV as COMPARISON
from augrec.report.pages.verdict_columns import verdict_cells, verdict_columns
from augrec.report.render.safe_text import markdown_cell
from augrec.report.render.tables import (
    Cell,
    Row,
    Table,
    measure,
    numbers,
    plain_value,
    table,
    word,
    words,
)
from augrec.report.render.text_tables import markdown_rows
from augrec.report.render.wording import counted, number
from augrec.report.study import SearchResult, Study, Tried

QUANTILES = {f"q{round(100 * share):02d}": share for share in SHOWN}
"""Columns of the quantiles over users, and the share of users at which each is taken."""
CSV_COLUMNS = (
    "table", "dataset", "setting", "variant", "label", "group", "model", "family", "metric", "mean", "std", "n_seeds",
    "low", "high", "best", "trials", "paper", "against", "verdict", *COMPARISON, *QUANTILES, "at_zero", "problem",
)  # fmt: skip
SWEEP_NOTE = (
    "Mean over seeds ± standard deviation over seeds; bands are 95 % intervals of each mean over users and seeds."
)


def stem(block: TableValues) -> str:
    """The name of a table's files."""
    return f"{block.table}-{block.dataset}"


def means_table(block: TableValues) -> Table:
    """Rows and metrics, with the papers' figures beside them."""
    printed, searched = printed_metrics(block), any(row.trials is not None for row in block.rows)
    rows = [
        Row(
            (
                word(row.label),
                *_means(block, row),
                *([Cell(str(row.trials or 0), row.trials)] if searched else []),
                *(Cell(number(row.values[metric].paper), row.values[metric].paper) for metric in printed),
            ),
            row.group if block.groups else None,
            row.is_baseline,
        )
        for row in block.rows
    ]
    notes = [block.tests, *([f"Paper: {block.paper}."] if block.paper else [])]
    notes += [budgets(block.rows)] if searched else []
    notes += [f"{row.label}: {row.problem}" for row in block.rows if row.problem and row.seeds]
    titles = (*block.metrics, *(["trials"] if searched else []), *(f"{metric}|paper" for metric in printed))
    columns = (*words("variant"), *numbers(*titles))
    return Table(stem(block), block.title, columns, tuple(rows), tuple(notes))


def budgets(rows: Sequence[RowValues]) -> str:
    """Whether the options of all rows were chosen by equally many trials, and else by how many those of each were."""
    labels: dict[int, list[str]] = {}
    for row in rows:
        labels.setdefault(row.trials or 0, []).append(row.label)
    if len(labels) == 1:
        return f"Equal budgets: the options of every row were chosen by {counted(next(iter(labels)), 'trial')}."
    each = "; ".join(
        f"{counted(trials, 'trial')}: {', '.join(labels[trials])}" for trials in sorted(labels, reverse=True)
    )
    return (
        f"Unequal budgets: {each}. Rows with more trials are favoured; what has none has nothing to tune, or was left "
        "out of the search."
    )


def _means(block: TableValues, row: RowValues) -> list[Cell]:
    if not row.seeds:
        return [Cell(row.problem or "failed", span=len(block.metrics))]
    values = [(metric, row.values[metric]) for metric in block.metrics]
    return [
        measure(value.mean, value.std, best=value.best, mark=mark_of(value, metric, block.alpha))
        for metric, value in values
    ]


def printed_metrics(block: TableValues) -> list[str]:
    """The metrics for which the paper prints a figure of at least one row."""
    return [metric for metric in block.metrics if any(row.values[metric].paper is not None for row in block.rows)]


def tests_table(block: TableValues) -> Table | None:
    """A line for every row and metric that was compared; None where nothing was."""
    rows = [
        [
            *words_of(row.label, row.against, metric),
            *verdict_cells(versus, metric, block.alpha),
        ]
        for row in block.rows
        for metric, value in row.values.items()
        if (versus := value.versus) is not None
    ]
    columns = (*words("variant", "against", "metric"), *verdict_columns(block.alpha))
    return table(f"{stem(block)}-tests", f"{block.title}: tests", columns, rows)


def users_table(block: TableValues) -> Table | None:
    """How the first metric is spread over the users of every row."""
    rows = [
        Row((word(row.label), *spread_cells(value.users, value.versus)), None, row.is_baseline)
        for metric in block.metrics[:1]
        for row in block.rows
        if (value := row.values[metric]).users is not None
    ]
    return spread_table(f"{stem(block)}-users", "".join(block.metrics[:1]), words("variant"), rows)


def words_of(*texts: str | None) -> list[Cell]:
    """Cells of words."""
    return [word(text) for text in texts]


def values_table(block: TableValues) -> Table:
    """One line per row and metric, at full precision: what CSV holds."""
    rows = []
    for row in block.rows:
        for metric, value in row.values.items():
            known: dict[str, Any] = {"table": block.table, "metric": metric, "n_seeds": len(row.seeds)}
            known |= asdict(value.versus) if value.versus is not None else {}
            if value.users is not None:
                known |= {name: value.users.at(share) for name, share in QUANTILES.items()}
                known["at_zero"] = value.users.at_zero
            known |= (
                asdict(value) | asdict(row) | {"metric": metric, "verdict": mark_of(value, metric, block.alpha) or None}
            )
            rows.append(Row(tuple(plain_value(known.get(name)) for name in CSV_COLUMNS)))
    return Table(stem(block), block.title, words(*CSV_COLUMNS), tuple(rows))


def block_markdown(block: TableValues) -> str:
    """The table, its notes and its tests."""
    means, tests, users = means_table(block), tests_table(block), users_table(block)
    parts = [f"## {markdown_cell(block.title)}", markdown_rows(means), *map(markdown_cell, means.notes)]
    if (times := times_table(stem(block), block.title, block.times)) is not None:
        parts += [f"### {markdown_cell(times.caption)}", markdown_rows(times), *map(markdown_cell, times.notes)]
    if tests is not None:
        parts += ["<details><summary>Tests</summary>", markdown_rows(tests), "</details>"]
    if users is not None:
        parts += ["<details><summary>How users differ</summary>", markdown_rows(users), "</details>"]
    return "\n\n".join(parts) + "\n"


def sweep_table(name: str, lines: Sequence[SweepLine]) -> Table:
    """A row for every line and value of a sweep."""
    rows = [
        Row(
            (
                word(label),
                word(point.value),
                *(_point(point, metric) for metric in line.metrics),
            )
        )
        for label, line in zip(labels_of(lines), lines, strict=True)
        for point in line.points
    ]
    columns = (
        *words("line" if len({line.variant for line in lines}) > 1 else "run"),
        *words(lines[0].option),
        *numbers(*lines[0].metrics),
    )
    return Table(name, lines[0].title, columns, tuple(rows), (SWEEP_NOTE,))


def _point(point: SweepPoint, metric: str) -> Cell:
    value = point.values[metric]
    return word(point.problem) if value.mean is None else measure(value.mean, value.std)


def sweep_values(name: str, lines: Sequence[SweepLine]) -> Table:
    """One line per run, variant, value and metric, at full precision: what CSV holds."""
    titles = ("dataset", "setting", "variant", lines[0].option, "metric", "mean", "std", "low", "high", "problem")
    rows = [
        Row(
            tuple(
                map(
                    plain_value,
                    (
                        line.dataset, line.setting, line.variant, point.value, metric,
                        value.mean, value.std, value.low, value.high, point.problem,
                    ),
                )
            )
        )
        for line in lines
        for point in line.points
        for metric, value in point.values.items()
    ]  # fmt: skip
    return Table(name, lines[0].title, words(*titles), tuple(rows))


def sweep_markdown(name: str, lines: Sequence[SweepLine]) -> str:
    """The table below its title."""
    table = sweep_table(name, lines)
    parts = [f"## {markdown_cell(table.caption)}", markdown_rows(table), *map(markdown_cell, table.notes)]
    return "\n\n".join(parts) + "\n"


def search_table(study: Study) -> Table | None:
    """What was searched and chosen, by run and model; None where nothing was."""
    rows = []
    for run in study.runs:
        for result in run.searched:
            options = ", ".join(f"{name} {_short(value)}" for name, value in result.options.items())
            rows.append(
                [
                    *words_of(run.dataset, run.setting, result.model),
                    Cell(str(result.trials), result.trials),
                    Cell(str(result.failed), result.failed),
                    Cell(number(result.value), result.value),
                    word(options or result.problem or result.note),
                ]
            )
    columns = (*words("data set", "setting", "model"), *numbers("trials", "failed", "validation"), *words("options"))
    caption = (
        "Selected on validation with seeds that are not reported; the test split was never evaluated in the search"
    )
    return table("search-table", caption, columns, rows)


def trials_table(study: Study) -> Table | None:
    """Every trial of every search, at full precision: what CSV holds; None where nothing was searched."""
    rows = []
    for run in study.runs:
        for result in run.searched:
            chosen = next((n for n, trial in enumerate(result.tried) if _won(trial, result)), None)
            for n, trial in enumerate(result.tried):
                options = json.dumps(dict(trial.options), sort_keys=True, ensure_ascii=False)
                told = (run.dataset, run.setting, result.model, n, trial.state, trial.value, n == chosen, options)
                rows.append(Row(tuple(map(plain_value, told))))
    columns = words("dataset", "setting", "model", "trial", "state", "validation", "chosen", "options")
    return table("trials", "Every trial of the search", columns, rows)


def _won(trial: Tried, result: SearchResult) -> bool:
    return trial.state == "complete" and trial.value == result.value and dict(trial.options) == result.options


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
