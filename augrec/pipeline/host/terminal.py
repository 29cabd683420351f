"""What is printed for a person: text of data and of language models never commands the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from augrec.artefacts.run_log import log_line
from augrec.artefacts.visible import visible

Kind = Literal["name", "number", "text"]
"""Of a column: what has to stay whole, at the left or at the right, and what may go on below."""
LEAST_OF_TEXT = 16
"""Letters of a line of text in the narrowest table."""
BETWEEN = 2
"""Blanks between columns."""


class Terminal(Console):
    """A console whose lines show what would act unseen, and whose text is no markup unless asked.

    Lines, but no tables, are kept in the log of the run that is worked on.
    """

    def print(self, *objects: Any, **how: Any) -> None:
        """See Console."""
        shown = [visible(part) if isinstance(part, str) else part for part in objects]
        if all(isinstance(part, str) for part in shown):
            log_line(" ".join(map(str, shown)))
        super().print(*shown, **({"markup": False} | how))


def terminal(*, stderr: bool = False, quiet: bool = False) -> Terminal:
    """The console of a command; long lines are left to the terminal."""
    return Terminal(stderr=stderr, soft_wrap=True, quiet=quiet)


def cells(*texts: object) -> tuple[Text, ...]:
    """The cells of a row of a table: text as it is, no markup."""
    return tuple(Text(visible(str(text))) for text in texts)


class OpenTable(Table):
    """Rows under headings; a column in which no row has anything is left out.

    Names and numbers stay whole however narrow the terminal is: a number of which the end is missing is another number.
    """

    def __init__(
        self, columns: Mapping[str, Kind], rows: Iterable[Sequence[object]], *, title: str | None = None
    ) -> None:
        super().__init__(
            title=title and f"\n{title}", title_justify="left", box=None, pad_edge=False, padding=(0, BETWEEN, 0, 0)
        )
        self._least, told = 0, []
        for (heading, kind), *column in zip(columns.items(), *(cells(*row) for row in rows), strict=True):
            if any(column):
                widest = max(len(heading), *(cell.cell_len for cell in column))
                least = min(widest, LEAST_OF_TEXT) if kind == "text" else widest
                side: Literal["left", "right"] = "right" if kind == "number" else "left"
                self.add_column(heading, justify=side, min_width=least, no_wrap=kind != "text", overflow="fold")
                self._least += least + BETWEEN
                told.append(column)
        for line in zip(*told, strict=True):
            self.add_row(*line)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See Table, which would leave out what has no room; the terminal goes on in its next line."""
        yield from super().__rich_console__(console, options.update(width=max(options.max_width, self._least)))


def say(text: str, *, error: bool = False) -> None:
    """Prints a message on stdout, or on stderr."""
    print(visible(text), file=sys.stderr if error else sys.stdout)
