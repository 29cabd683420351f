"""What every benchmark reports: named values with targets, as a table, as JSON, and as an exit status."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import write_json
from augrec.artefacts.huge_pages import ask_for_huge_pages


@dataclass(frozen=True)
class Result:
    """One measured value.

    Attributes:
        name: what was measured.
        value: the number; None where nothing could be measured.
        unit: of the value, e.g. "ms", "x", "relative".
        target: what it is held against, in words, e.g. "<= 1e-05"; for a value that is not judged, the reason.
        ok: whether the target is met; None where the value is not judged.
    """

    name: str
    value: float | None
    unit: str
    target: str
    ok: bool | None

    @classmethod
    def at_most(cls, name: str, value: float, limit: float, unit: str) -> Result:
        """A value that should not exceed `limit`; NaN does."""
        return cls(name, value if math.isfinite(value) else None, unit, f"<= {limit:g}", value <= limit)

    @classmethod
    def at_least(cls, name: str, value: float, limit: float, unit: str) -> Result:
        """A value that should reach `limit`; NaN does not."""
        return cls(name, value if math.isfinite(value) else None, unit, f">= {limit:g}", value >= limit)

    @classmethod
    def unjudged(cls, name: str, value: float | None, unit: str, reason: str) -> Result:
        """A value without a target, or something that was not compared."""
        return cls(name, value, unit, reason, None)


def show(title: str, results: Sequence[Result], console: Console | None = None) -> None:
    """Prints the table."""
    table = Table(title=title, title_justify="left")
    table.add_column("name", overflow="fold")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("target", overflow="fold")
    table.add_column("ok")
    for result in results:
        mark = {True: "yes", False: "[bold red]NO[/]", None: "-"}[result.ok]
        table.add_row(
            result.name, "-" if result.value is None else f"{result.value:.4g}", result.unit, result.target, mark
        )
    (console or Console(width=None if sys.stdout.isatty() else 120)).print(table)


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--json FILE` to a benchmark's command line."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to FILE")


def report(title: str, results: Sequence[Result], json: Path | None = None) -> int:
    """Shows the results, writes them to `json` if given; the exit status: 1 when one is not ok, else 0."""
    show(title, results)
    if json is not None:
        write_json(json, [asdict(result) for result in results])
    return int(any(result.ok is False for result in results))


def run(main: Callable[[], int]) -> NoReturn:
    """Ends the process with `main`'s status; an `AugrecError` is printed without a traceback.

    Whatever is compared has huge pages as the command line has them, in processes that are started from here too.
    """
    ask_for_huge_pages()
    try:
        status = main()
    except AugrecError as error:
        print(f"error: {error}", file=sys.stderr)
        status = error.exit_code
    sys.exit(status)
