"""The tables of a run's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from augrec.artefacts.metrics import Metric
from augrec.report.measures.attribute_accuracy import AttributeAccuracy
from augrec.report.numbers.comparison import Comparison
from augrec.report.numbers.results import Results
from augrec.report.numbers.variants import Trained
from augrec.report.options import ReportOptions
from augrec.report.pages.run.headline import ControlFinding
from augrec.report.pages.run.throughput import Throughput
from augrec.report.pages.run.tokens import TokenLengths
from augrec.report.pages.run.troubles import Trouble
from augrec.report.pages.spread_of_users import spread_cells, spread_table
from augrec.report.pages.verdict_columns import verdict_cell, verdict_cells, verdict_columns
from augrec.report.render.strips import Strip, draw_strips
from augrec.report.render.tables import (
    Cell,
    Column,
    Row,
    Table,
    difference_cell,
    interval_cell,
    measure,
    numbers,
    p_cell,
    table,
    word,
    words,
)
from augrec.report.render.wording import DASH, count, counted, per_cent, percent


def results_table(trained: dict[str, Trained], results: Results, options: ReportOptions) -> Table:
    """Every variant: its metrics, and the difference to the baseline in the primary one."""
    shown = (options.primary, *options.secondary)
    best = {metric: _best(trained, results, metric) for metric in shown}
    rows = []
    drawn, axis = draw_strips(_strips(trained, results, options), trained[options.baseline].mean(options.primary))
    for name in trained:
        is_baseline = name == options.baseline
        metrics = []
        for metric in shown:
            found = results.estimates[name, metric]
            metrics.append(measure(found.mean, found.std, best=found.mean == best[metric]))
        heading = word(name)
        difference, level, judged = _versus(name, results, options)
        drawing = Cell("", metrics[0].value, drawing=drawn[name])
        cells = (heading, judged, drawing, metrics[0], difference, level, *metrics[1:])
        rows.append(Row(cells, baseline=is_baseline))
    columns = (
        *words("variant", "verdict"),
        Column(options.primary, sub=axis, drawn=True),
        *numbers(shown[0], "difference", f"{per_cent(1 - options.alpha)} interval|simultaneous", *shown[1:]),
    )
    caption = f"{options.primary} against {options.baseline}"
    return Table("main-table", caption, columns, tuple(rows), alone=_explained(trained, options))


def _explained(trained: dict[str, Trained], options: ReportOptions) -> tuple[str, ...]:
    """What the numbers of the main table are, where it stands without its page."""
    baseline = trained[options.baseline]
    users = int(np.isfinite(baseline.per_user[options.primary]).sum())
    seeds = sorted({len(one.metrics) for one in trained.values()})
    spread = "" if seeds == [1] else f" ± standard deviation over {counted(seeds[-1], 'seed')}"
    spread += f", {counted(seeds[0], 'seed')} where fewer were trained" if len(seeds) > 1 else ""
    return (
        f"Test split, {counted(users, 'user')}: mean{spread}; bold, the best mean of a column.",
        f"Differences, intervals and verdicts are those of {options.primary}; better, worse and equivalent take a test "
        "over users and one over seeds.",
    )


def _strips(trained: dict[str, Trained], results: Results, options: ReportOptions) -> dict[str, Strip]:
    """Each variant's mean, its seeds, and the interval of its difference around the mean."""
    baseline = trained[options.baseline].mean(options.primary)
    strips = {}
    for name, variant in trained.items():
        versus = results.of(name, options.primary)
        low, high = (None if end is None else baseline + end for end in (versus.family_low, versus.family_high))
        strips[name] = Strip(variant.mean(options.primary), list(variant.values(options.primary).values()), low, high)
    return strips


def controls_table(found: Sequence[ControlFinding], claim: str, options: ReportOptions) -> Table | None:
    """The claim beside its controls, and what follows."""
    rows = [
        [
            word(one.control),
            verdict_cell(one.compared, options.primary, options.alpha),
            measure(one.mean),
            difference_cell(one.compared.difference),
            interval_cell(one.compared.family_low, one.compared.family_high),
            p_cell(one.compared.p_users_holm, note=one.compared.users_reason or ""),
            p_cell(one.compared.p_seeds, note=one.compared.seeds_reason or ""),
            word(one.reading),
        ]
        for one in found
    ]
    level = f"{per_cent(1 - options.alpha)} interval|simultaneous"
    columns = (
        *words("control", f"verdict|on {claim}"),
        *numbers(options.primary, f"difference|{claim} minus it", level, "p\u00a0users|Holm", "p\u00a0seeds|t-test"),
        *words("what this says"),
    )
    return table("controls-table", f"{claim} beside its controls", columns, rows)


def _best(trained: dict[str, Trained], results: Results, metric: str) -> float | None:
    """The best mean of a column; None where fewer than two variants have one."""
    return best_of([results.estimates[name, metric].mean for name in trained], metric)


def best_of(means: Sequence[float | None], metric: str) -> float | None:
    """The best of some means by the direction of the metric; None where there are fewer than two."""
    known = [mean for mean in means if mean is not None]
    return Metric.parse(metric).best(known) if len(known) > 1 else None


def _versus(name: str, results: Results, options: ReportOptions) -> list[Cell]:
    if name == options.baseline:
        return [Cell(), Cell(), word("baseline")]
    versus = results.of(name, options.primary)
    return [
        difference_cell(versus.difference),
        interval_cell(versus.family_low, versus.family_high),
        verdict_cell(versus, options.primary, options.alpha),
    ]


def tests_table(trained: dict[str, Trained], results: Results, options: ReportOptions) -> Table | None:
    """Every comparison of the page with all that stands behind its verdict; None where there is none."""
    compared = {(name, options.baseline): results.of(name, options.primary) for name in trained}
    del compared[options.baseline, options.baseline]
    compared |= results.controls
    rows = [
        [word(name), word(against), *verdict_cells(found, options.primary, options.alpha)]
        for (name, against), found in compared.items()
    ]
    share = per_cent(options.equivalence_margin)
    caption = f"Every comparison in {options.primary}. The margin of equivalence is {share} of the mean of “against”"
    columns = (*words("variant", "against"), *verdict_columns(options.alpha))
    return table("tests-table", caption, columns, rows, _why_dashes(compared))


def users_table(results: Results, options: ReportOptions) -> Table | None:
    """How the primary metric of every variant is spread over users."""
    rows = [
        Row(
            (word(name), *spread_cells(spread, results.versus.get((name, options.primary)))),
            None,
            name == options.baseline,
        )
        for name, spread in results.users.items()
    ]
    return spread_table("users-table", options.primary, words("variant"), rows)


def _why_dashes(compared: Mapping[tuple[str, str], Comparison]) -> list[str]:
    """Why comparisons have no p-value, as one note."""
    reasons = []
    for (name, against), versus in compared.items():
        told = ((versus.p_users, "users", versus.users_reason), (versus.p_seeds, "seeds", versus.seeds_reason))
        reasons += [f"{name} against {against}, over {what}: {reason}" for p, what, reason in told if p is None]
    return [f"No p-value ({DASH}): {'; '.join(reasons)}."] if reasons else []


def genres_table(genres: list[str], shares: dict[str, list[float]]) -> Table | None:
    """The shares of the figure of genres."""
    rows = [
        [word(genre), *(Cell(percent(of_source[n]), of_source[n]) for of_source in shares.values())]
        for n, genre in enumerate(genres)
    ]
    return table("genres-table", "Share of genre mentions", (*words("genre"), *numbers(*shares)), rows)


def accuracy_table(found: Iterable[AttributeAccuracy]) -> Table | None:
    """What sources say of items against the data's own columns."""
    rows = []
    for one in found:
        interval = () if one.right.low is None else (f"{percent(one.right.low)} to {percent(one.right.high or 0)}",)
        shares = (one.right_of_told, one.unknown, one.elsewhere, one.commonest)
        rows.append(
            [
                word(one.source),
                word(one.field),
                word(one.column),
                Cell(count(one.items), one.items),
                Cell(percent(one.right.mean or 0), one.right.mean, interval),
                *(Cell(DASH if share is None else percent(share), share) for share in shares),
            ]
        )
    columns = words("source", "field", "column of the data")
    columns += numbers("items", "right", "right of|what is said", "unknown", "at other|items", "commonest|value")
    caption = (
        "Answers about items that are the data's own value, or one of them, with the interval of 95 % over items; "
        "beside it the same answers at other items, and the data's commonest value said of all. Where a prompt shows "
        "the column, a right answer is a copy"
    )
    return table("accuracy-table", caption, columns, rows)


def speed_table(speed: Throughput, number: int) -> Table | None:
    """The rates of the figure of a source's speed, coarser."""
    columns = (*words("since the first start"), *numbers("requests", "prompt tokens", "written tokens"))
    rows = [[word(row[0]), *(Cell(text) for text in row[1:])] for row in speed.rows]
    return table(f"speed-table-{number}", "Rates per second from that time on", columns, rows)


def lengths_table(spreads: Sequence[TokenLengths]) -> Table | None:
    """The figures of lengths as numbers."""
    columns = (
        *words("source", "of"),
        *numbers("requests", "median", "95\u00a0% up to", "longest", "room", "longest fills"),
    )
    rows = [[word(spread.source), word(spread.title), *(Cell(text) for text in spread.cells)] for spread in spreads]
    return table("lengths-table", "Tokens per request", columns, rows)


def troubles_table(name: str, caption: str, kind: str, troubles: Sequence[Trouble]) -> Table | None:
    """Failures or repairs by kind."""
    rows = [
        [
            word(trouble.source),
            word(trouble.task.replace("_", " ")),
            word(trouble.kind),
            Cell(count(trouble.count), trouble.count),
            Cell(percent(trouble.share), trouble.share),
        ]
        for trouble in troubles
    ]
    return table(name, caption, (*words("source", "task", kind), *numbers("requests", "share")), rows)
