"""Tables as CSV that a spreadsheet opens as data: no cell becomes a formula.

A spreadsheet runs a cell that begins with = + - or @, also behind a tab, a line end or white space, and in full-width
letters; such a cell gets an apostrophe in front, as OWASP advises ("CSV Injection"). Numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

STARTS = re.compile(r"[\s\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\x00]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """The rows as CSV with line feeds, also inside of cells; None is an empty cell."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([_one_kind_of_end(guarded(cell)) for cell in row] for row in rows)
    return out.getvalue()


def guarded(cell: object) -> object:
    """The cell, with an apostrophe in front where a spreadsheet would run it."""
    if not isinstance(cell, str) or not STARTS.match(cell) or NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def unguarded(cell: str) -> str:
    """The cell as it was before `guarded`."""
    return cell[1:] if cell.startswith("'") and guarded(cell[1:]) == cell else cell


def _one_kind_of_end(cell: object) -> object:
    """Python 3.11 writes a carriage return without quotes, and readers begin a row there."""
    return cell.replace("\r\n", "\n").replace("\r", "\n") if isinstance(cell, str) else cell
