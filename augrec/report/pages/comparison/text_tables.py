"""Tables of the texts themselves: their form, how far sources agree, and whether they fit the user."""

from __future__ import annotations

from dataclasses import dataclass

from augrec.report.measures.agreement import Agreement
from augrec.report.measures.resampled_means import ResampledMean
from augrec.report.pages.comparison.legend import source_looks
from augrec.report.pages.comparison.results import ComparisonResults
from augrec.report.render.tables import Cell, Table, named, numbers, table, word, words
from augrec.report.render.wording import DASH, count, number, p_value, percent


def share(value: float | None) -> Cell:
    """A share in 0..1 as a cell."""
    return Cell(percent(value), value)


def counted(value: int | None) -> Cell:
    """A number of things as a cell."""
    return Cell(count(value), value)


def plain(value: float | None, digits: int = 2) -> Cell:
    """A number as a cell."""
    return Cell(number(value, digits), value)


def estimate(value: ResampledMean) -> Cell:
    """A share with its interval under it."""
    between = _between(value.low, value.high)
    return Cell(percent_1(value.mean), value.mean, (between,) if between else ())


def percent_1(value: float | None) -> str:
    """A share as "51.3 %"."""
    return DASH if value is None else f"{100 * value:.1f}\u00a0%".replace("-", "−")


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{percent_1(low)} to {percent_1(high)}"


def task_name(task: str) -> str:
    """A task as words."""
    return task.replace("_", " ")


def intrinsic_table(results: ComparisonResults) -> Table | None:
    """The form of the texts, one row per source and task."""
    looks = source_looks(results)
    rows = []
    for texts in results.intrinsic:
        length = texts.words_per_text
        reasons = tuple(f"{count(n)} {reason}" for reason, n in texts.failed_by_reason.items())
        spread = () if length.p5 is None or length.p95 is None else (f"{length.p5:.0f} to {length.p95:.0f}",)
        rows.append(
            [
                named(texts.source, looks),
                word(task_name(texts.task)),
                counted(texts.records),
                Cell(count(texts.failed), texts.failed, reasons[:4], strong=bool(texts.failed)),
                share(texts.first_attempt_share),
                share(texts.repaired_share),
                share(texts.distinct_share),
                Cell(number(length.mean, 0), length.mean, spread),
                counted(texts.vocabulary),
                plain(texts.distinct_per_1000, 0),
                share(texts.repetition),
            ]
        )
    columns = words("source", "task") + numbers(
        "asked", "failed", "usable|at first try", "repaired", "distinct|texts", "words|mean, 5–95 %", "vocabulary|words"
    )
    columns += numbers("distinct words|per 1,000", "repeated|trigrams")
    return table("intrinsic-table", "The form of the texts", columns, rows)


def agreement_table(results: ComparisonResults) -> Table | None:
    """How far two sources say the same of the same user or item."""
    rows = [
        [
            word(f"{pair.a} and {pair.b}"),
            word(task_name(pair.task)),
            counted(pair.entities),
            share(pair.exact),
            plain(pair.cosine),
            plain(pair.cosine_strangers),
            word(", ".join(f"{name}: {percent(likeness)}" for name, likeness in pair.fields.items())),
        ]
        for pair in results.agreement
    ]
    columns = (*words("sources", "task"), *numbers("in both", "equal", "cosine|same", "cosine|strangers"))
    return table("agreement-table", "Agreement pair by pair", (*columns, *words("by field")), rows)


def consistency_table(results: ComparisonResults) -> Table | None:
    """Whether the genres a profile names are those of the user's own history."""
    looks = source_looks(results)
    rows = [
        [
            named(fit.source, looks),
            counted(fit.users),
            share(fit.liked_in_history),
            share(fit.strangers),
            share(fit.liked_in_top3),
            share(fit.disliked_in_history),
        ]
        for fit in results.consistency
    ]
    columns = words("source") + numbers(
        "users",
        "liked genres|in the history",
        "liked genres|of a stranger",
        "liked|in the top 3",
        "disliked|in the history",
    )
    return table("consistency-table", "Genres in the profile against the user's training history", columns, rows)


def position_table(results: ComparisonResults) -> Table | None:
    """Whether picks depend on the place in the list of candidates."""
    looks = source_looks(results)
    rows = [
        [
            named(picks.source, looks),
            counted(picks.users),
            counted(picks.labels),
            share(picks.first_share),
            share(1 / picks.labels if picks.labels else None),
            Cell(p_value(picks.p_positive), picks.p_positive),
            Cell(p_value(picks.p_negative), picks.p_negative),
        ]
        for picks in results.position
    ]
    columns = words("source") + numbers(
        "users", "places", "first place|share", "first place|by chance", "p likely|uniform", "p unlikely|uniform"
    )
    return table("position-table", "Picks by place in the list shown; p by chi-square against uniform", columns, rows)


def leak_table(results: ComparisonResults) -> Table | None:
    """How near each user's own items lie to the profile, by split."""
    looks = source_looks(results)
    rows = [
        [
            named(check.source, looks),
            counted(check.users),
            *(estimate(split) for split in (check.train, check.valid, check.test)),
            Cell(percent_1(check.explained.get("test")), check.explained.get("test")),
            estimate(ResampledMean(check.gap, check.gap_low, check.gap_high)),
        ]
        for check in results.leak
    ]
    columns = (*words("source"), *numbers("users", "train", "valid", "test", "test|by training alone", "train − test"))
    return table(
        "leak-table", "Percentile of the user's items by likeness to the profile; chance is 50 %", columns, rows
    )


def memorisation_table(results: ComparisonResults) -> Table | None:
    """The same model asked with titles and without them."""
    rows = [
        [
            word(f"{probe.named} and {probe.anonymous}"),
            word(task_name(probe.task)),
            counted(probe.entities),
            share(probe.exact),
            plain(probe.cosine),
            plain(probe.cosine_strangers),
            share(probe.consistency_named),
            share(probe.consistency_anonymous),
            share(probe.same_choice),
            share(probe.chance_of_choice),
        ]
        for probe in results.memorisation
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


def agreement_matrices(results: ComparisonResults) -> list[Matrix]:
    """One matrix per task with three sources or more; with fewer the table says it all."""
    matrices = []
    for task in dict.fromkeys(pair.task for pair in results.agreement):
        pairs = [pair for pair in results.agreement if pair.task == task]
        sources = tuple(dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b)))
        cells = {key: _matrix_cell(pair) for pair in pairs for key in ((pair.a, pair.b), (pair.b, pair.a))}
        if len(sources) > 2:
            matrices.append(Matrix(task_name(task), sources, cells))
    return matrices


def _matrix_cell(pair: Agreement) -> tuple[Cell, float]:
    under = [] if pair.cosine_strangers is None else [f"strangers {number(pair.cosine_strangers, 2)}"]
    under += [] if pair.exact is None else [f"equal {percent(pair.exact)}"]
    shade = pair.cosine if pair.cosine is not None else pair.exact
    return Cell(number(pair.cosine, 2), pair.cosine, tuple(under)), min(1.0, max(0.0, shade or 0.0))


def coverage_table(results: ComparisonResults) -> Table | None:
    """What each model completes of the catalogue by heart, beside the same answers at items nearby."""
    looks = source_looks(results)
    rows = [
        [
            named(one.source, looks),
            Cell(count(one.items), one.items),
            *(
                Cell(percent_1(share), share, (f"nearby {percent_1(chance)}",))
                for share, chance in (
                    (one.titles, one.chance_titles), (one.years, one.chance_years), (one.genres, one.chance_genres)
                )
            ),
            Cell(percent_1(one.copied), one.copied),
        ]
        for one in results.coverage
    ]  # fmt: skip
    columns = (*words("source"), *numbers("items", "titles|exact", "years|exact", "genres|overlap", "copied|titles"))
    notes = [
        "Asked for by the number alone, beside a few other lines. Nearby: each answer judged at the next item of the "
        "catalogue whose line its prompt did not show, which is what guessing from those shown gives. Copied: the "
        "title is that of a line shown."
    ]
    return table("coverage-table", "What the models complete of the catalogue by heart", columns, rows, notes)
