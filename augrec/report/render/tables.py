"""A table as values; `html.show`, `text_tables.markdown`, `.csv` and `.latex` write it.

A page makes its tables from its numbers with the functions below and leaves the notation to the writers:

    columns = (*words("variant"), *numbers("recall@20", "p users|Holm"))
    rows = [Row((word("llmrec"), measure(0.1234, std=0.001, best=True), p_cell(0.03)), group="LLM")]
    results = table("results", "Results by variant", columns, rows, notes=["Bold: the best of its column."])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from augrec.report.render.legend import Look
from augrec.report.render.wording import DASH, interval, number, p_value, signed

Value = float | int | str | bool | None


@dataclass(frozen=True)
class Column:
    """A heading. `text`: the cells are words, set at the start and sorted by alphabet. `sub`: a second line. `drawn`:
    the cells are drawings of what other columns hold, for pages alone."""

    title: str
    text: bool = False
    sub: str = ""
    drawn: bool = False


@dataclass(frozen=True)
class Cell:
    """What a cell shows.

    Attributes:
        text: the number or words themselves.
        value: what the cell is sorted by, and what CSV holds, at full precision; None: nothing, or the text.
        spread: "± 0.0012", beside the number.
        mark: the verdict on the row beside what it is compared with, of those that have a sign in `text_tables`.
        best: whether it is the best of its column.
        strong: whether it is bold for another reason, which the caption gives.
        under: lines under it.
        note: why it is as it is, for those who point at it.
        look: the sign of its kind, before the text.
        code: whether it is set as code: hashes and the like.
        span: how many columns it takes; the row has so many cells less.
        drawing: in place of the text, on pages.
    """

    text: str = DASH
    value: Value = None
    under: tuple[str, ...] = ()
    look: Look | None = None
    strong: bool = False
    code: bool = False
    spread: str = ""
    mark: str = ""
    best: bool = False
    note: str = ""
    span: int = 1
    drawing: Markup | None = None


@dataclass(frozen=True)
class Row:
    """The cells of a row, the first of which is its heading.

    Attributes:
        group: rows of one group stand under its name; None where the table has no groups.
        baseline: whether the others are compared with it.
    """

    cells: tuple[Cell, ...]
    group: str | None = None
    baseline: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells below the columns' headings. `name` is the id on the page and ends the label in LaTeX. `alone` is
    what a reader has to know who sees it without its page, which says so around it: a sentence each."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The caption with its full stop."""
        return self.caption if self.caption.endswith((".", "?")) else f"{self.caption}."

    @property
    def sortable(self) -> bool:
        """Whether a reader may sort it; rows in groups stay in theirs."""
        return len(self.rows) > 1 and all(
            row.group is None and len(row.cells) == len(self.columns) for row in self.rows
        )

    @property
    def written(self) -> Table:
        """The table without its drawings, for what is no page."""
        kept = [n for n, column in enumerate(self.columns) if not column.drawn]
        if len(kept) == len(self.columns):
            return self
        rows = tuple(replace(row, cells=tuple(row.cells[n] for n in kept)) for row in self.rows)
        return replace(self, columns=tuple(self.columns[n] for n in kept), rows=rows)

    def grouped(self) -> list[tuple[str | None, list[tuple[Row, list[str]]]]]:
        """(group, [(row, what each cell sorts by)]), groups in the order of their first rows."""
        sorts = self.sort_values() if self.sortable else [[""] * len(row.cells) for row in self.rows]
        names = dict.fromkeys(row.group for row in self.rows)
        pairs = list(zip(self.rows, sorts, strict=True))
        return [(name, [pair for pair in pairs if pair[0].group == name]) for name in names]

    def sort_values(self) -> list[list[str]]:
        """What each cell sorts by: its number, the place of its words in the alphabet, or nothing."""
        by_column = [self._sort_column(n, column) for n, column in enumerate(self.columns)]
        return [list(row) for row in zip(*by_column, strict=True)]

    def _sort_column(self, n: int, column: Column) -> list[str]:
        cells = [row.cells[n] for row in self.rows]
        if not column.text:
            return ["" if cell.value is None else repr(cell.value) for cell in cells]
        places = {text: place for place, text in enumerate(sorted({cell.text for cell in cells}, key=str.casefold))}
        return ["" if cell.text == DASH else str(places[cell.text]) for cell in cells]


def words(*titles: str) -> tuple[Column, ...]:
    """Columns of words."""
    return tuple(Column(title.partition("|")[0], text=True, sub=title.partition("|")[2]) for title in titles)


def numbers(*titles: str) -> tuple[Column, ...]:
    """Columns of numbers; a title may carry a second line after a bar."""
    return tuple(Column(title.partition("|")[0], sub=title.partition("|")[2]) for title in titles)


def word(text: object, **how: object) -> Cell:
    """A cell of words, or a dash."""
    return Cell(DASH if text is None or text == "" else str(text), **how)  # type: ignore[arg-type]


def named(name: str, looks: Mapping[str, Look], titles: Mapping[str, str] | None = None) -> Cell:
    """A source or an arm by its title, with the mark it has in the figures."""
    return word((titles or {}).get(name, name), look=looks.get(name))


def measure(
    mean: float | None, std: float | None = None, *, best: bool = False, mark: str = "", digits: int = 4
) -> Cell:
    """A metric's mean over seeds, with the standard deviation where there are several."""
    spread = "" if std is None or mean is None else f"± {number(std, digits)}"
    return Cell(number(mean, digits), mean, spread=spread, best=best and mean is not None, mark=mark)


def difference_cell(value: float | None, *, digits: int = 4) -> Cell:
    """A difference, with its sign."""
    return Cell(signed(value, digits), value)


def interval_cell(low: float | None, high: float | None, *, digits: int = 4) -> Cell:
    """Both ends of an interval; it sorts by the lower one."""
    return Cell(interval(low, high, digits), low)


def p_cell(value: float | None, *, note: str = "") -> Cell:
    """A p-value; `note` says why there is none."""
    return Cell(p_value(value), value, note=note)


def plain_value(value: Value) -> Cell:
    """A value for CSV alone, as it is."""
    return Cell("" if value is None else str(value), value)


def table(
    name: str,
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell] | Row],
    notes: Sequence[str] = (),
) -> Table | None:
    """The table without the columns of numbers that hold none; None when there are no rows."""
    whole = [row if isinstance(row, Row) else Row(tuple(row)) for row in rows]
    if not whole:
        return None
    spanned = any(cell.span > 1 for row in whole for cell in row.cells)
    kept = [
        n
        for n, column in enumerate(columns)
        if spanned or column.text or column.drawn or any(row.cells[n].text != DASH for row in whole)
    ]
    return Table(
        name,
        caption,
        tuple(columns[n] for n in kept),
        tuple(row if spanned else Row(tuple(row.cells[n] for n in kept), row.group, row.baseline) for row in whole),
        tuple(notes),
    )
