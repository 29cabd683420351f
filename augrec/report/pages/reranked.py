"""What a language model said of lists: how far that can be trusted, and with which weights it counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from augrec.report.measures.reranking import Numbers, RerankedRow, Reranking
from augrec.report.render.tables import Cell, Table, numbers, table, word, words
from augrec.report.render.wording import DASH, count, counted, number, percent


@dataclass(frozen=True)
class Reranked:
    """The section of a page.

    Attributes:
        answers: how the answers to each task are, by variant.
        rows: the weights of each row, and what it does to the lists that were asked about.
        grid: what validation says of all weights that might have been chosen for what is claimed.
        sentence: how many users were asked about.
    """

    answers: Table | None
    rows: Table | None
    grid: Table | None
    sentence: str


def reranked(found: Reranking, metric: str) -> Reranked:
    """The section.

    Args:
        found: what the stage wrote.
        metric: the primary one.
    """
    made = found.rows
    return Reranked(_answers(made, found.list_size), _rows(made, metric), _grid(made), _sentence(made))


def _sentence(made: Sequence[RerankedRow]) -> str:
    asked, users = made[0].asked, made[0].users
    if asked == users:
        return f"All {counted(users, 'user')} of the test split were asked about."
    return (
        f"{count(asked)} of {count(users)} users of the test split were asked about; the others keep the recommender's "
        "lists, in every row and in the table of results."
    )


def _answers(made: Sequence[RerankedRow], size: int) -> Table | None:
    """One row for each variant and task, over seeds and both splits."""
    rows = []
    for name, own in _grouped([one for one in made if one.task and not one.control]):
        told = [answers for one in own for answers in one.answers.values()]
        questions = _total(told, "questions")
        rows.append(
            [
                word(name),
                Cell(count(questions), questions),
                *_share(questions - _total(told, "failed"), questions),
                *_share(_total(told, "repaired"), questions),
                *(
                    _number(_mean([one.get(key) for one in told]), 2)
                    for key in ("like_shown", "like_list", "place_variance", "disagreement")
                ),
            ]
        )
    columns = (
        *words("row"),
        *numbers("questions", "answered", "repaired", "like the prompt's order", "like the recommender's order"),
        *numbers("variance of places", "disagreement"),
    )
    caption = (
        "The answers, over seeds, validation and test. Likeness is the rank correlation of an answer with an order: 1 "
        "with the prompt's is a copy of the prompt, 1 with the recommender's a copy of its list. The variance of an "
        f"item's place over the orders in which a list is shown is {number((size**2 - 1) / 12, 2)} for answers at "
        f"random to lists of {size}, and 0 for a model that does not mind the order. Where probabilities are read and "
        "not an order, the disagreement is the share of them that lies on other items in another order, from 0 to 1"
    )
    return table("reranked-answers", caption, columns, rows)


def _rows(made: Sequence[RerankedRow], metric: str) -> Table | None:
    """One row for each row of the results: weights by seed, and the metric among who was asked about."""
    rows = []
    for name, own in _grouped(made):
        chosen = [(one.b1, one.b2) for one in own if one.b1 is not None]
        weights = ", ".join(dict.fromkeys(f"{b1:g} {b2:g}" for b1, b2 in chosen)) if chosen else "given"
        ends = _end([one.alpha.least for one in own], min), _end([one.alpha.most for one in own], max)
        alpha = DASH if None in ends else f"{number(ends[0], 2)} to {number(ends[1], 2)}"
        before = _mean([one.unchanged.get(metric) for one in own])
        after = _mean([one.among_asked.get(metric) for one in own])
        rows.append(
            [
                word(name),
                word(weights),
                Cell(alpha, _mean([one.alpha.mean for one in own])),
                _number(_mean([one.alpha.mean for one in own]), 2),
                _number(before, 4),
                _number(after, 4),
            ]
        )
    columns = (
        *words("row", "b1 b2"),
        *numbers("weight", "mean weight", f"{metric}|before", f"{metric}|after"),
    )
    caption = (
        "How much each row's judgement counts against the recommender's: b1 and b2 as validation chose them for each "
        f"seed, and the weights that follow for users; {metric} of the lists before and after, the mean over seeds, "
        "among the users who were asked about"
    )
    return table("reranked-rows", caption, columns, rows)


def _grid(made: Sequence[RerankedRow]) -> Table | None:
    """A row for each b1 of what is claimed, a column for each b2 (Llama4Rec, Figure 4), the mean over seeds."""
    rows, cutoffs, monitors = [], list[float](), set[str]()
    for name, own in _grouped([one for one in made if one.task and not one.control and one.grid]):
        values = defaultdict[tuple[float, float], list[float | None]](list)
        for one in own:
            monitors.add(str(one.chosen_by))
            for b1, b2, value in one.grid:
                values[b1, b2].append(value)
        cutoffs = sorted({b2 for _, b2 in values})
        for b1 in sorted({b1 for b1, _ in values}):
            cells = [_number(_mean(values[b1, b2]), 4) for b2 in cutoffs]
            rows.append([word(name), Cell(f"{b1:g}", b1), *cells])
    columns = (*words("row"), *numbers("b1", *(f"b2 = {b2:g}" for b2 in cutoffs)))
    caption = (
        f"What validation says of all weights that might have been chosen: {', '.join(sorted(monitors))} of all users, "
        "the mean over seeds. The test split is judged with the chosen ones alone"
    )
    return table("reranked-grid", caption, columns, rows) if rows else None


def _grouped(made: Sequence[RerankedRow]) -> Iterator[tuple[str, list[RerankedRow]]]:
    """The seeds of each row, in the order of the rows."""
    names = dict.fromkeys(one.row for one in made)
    return ((name, [one for one in made if one.row == name]) for name in names)


def _total(told: Sequence[Numbers], key: str) -> int:
    return sum(int(one.get(key) or 0) for one in told)


def _share(part: int, whole: int) -> tuple[Cell]:
    return (Cell(percent(part / whole), part / whole) if whole else Cell(),)


def _number(value: float | None, digits: int) -> Cell:
    return Cell(number(value, digits), value)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _end(values: Sequence[float | None], best: Callable[[list[float]], float]) -> float | None:
    known = [value for value in values if value is not None]
    return best(known) if known else None
