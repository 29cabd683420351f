"""A table as values: what the page shows as HTML and `compare.md` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from augrec.report.pages.comparison.looks import Look
from augrec.report.render.wording import DASH


@dataclass(frozen=True)
class Column:
    """A heading. `text`: the cells are words, set at the start and sorted by alphabet. `sub`: a second line."""

    title: str
    text: bool = False
    sub: str = ""


@dataclass(frozen=True)
class Cell:
    """What is shown, the number it is sorted by, and lines under it; `code`: the text comes from an LLM or a file."""

    text: str = DASH
    value: float | None = None
    under: tuple[str, ...] = ()
    look: Look | None = None
    strong: bool = False
    code: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of a row is its heading. `name` is the id on the page."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = field(default=())

    def sort_values(self) -> list[list[str]]:
        """What each cell sorts by: its number, the place of its words in the alphabet, or nothing."""
        by_column = [self._sort_column(n, column) for n, column in enumerate(self.columns)]
        return [list(row) for row in zip(*by_column, strict=True)]

    def _sort_column(self, n: int, column: Column) -> list[str]:
        cells = [row[n] for row in self.rows]
        if not column.text:
            return ["" if cell.value is None else repr(cell.value) for cell in cells]
        places = {text: place for place, text in enumerate(sorted({cell.text for cell in cells}, key=str.casefold))}
        return ["" if cell.text == DASH else str(places[cell.text]) for cell in cells]


def words(*titles: str) -> tuple[Column, ...]:
    """Columns of words."""
    return tuple(Column(title, text=True) for title in titles)


def numbers(*titles: str) -> tuple[Column, ...]:
    """Columns of numbers; a title may carry a second line after a bar."""
    return tuple(Column(title.partition("|")[0], sub=title.partition("|")[2]) for title in titles)


def told(text: object, **how: object) -> Cell:
    """A cell of words, or a dash."""
    return Cell(DASH if text is None or text == "" else str(text), **how)  # type: ignore[arg-type]


def named(name: str, looks: Mapping[str, Look], titles: Mapping[str, str] | None = None) -> Cell:
    """A source or an arm by its title, with the mark it has in the figures."""
    return told((titles or {}).get(name, name), look=looks.get(name))


def table(
    name: str,
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    notes: Sequence[str] = (),
) -> Table | None:
    """The table without the columns of numbers that hold none; None when there are no rows."""
    if not rows:
        return None
    kept = [n for n, column in enumerate(columns) if column.text or any(row[n].text != DASH for row in rows)]
    return Table(
        name,
        caption,
        tuple(columns[n] for n in kept),
        tuple(tuple(row[n] for n in kept) for row in rows),
        tuple(notes),
    )
