"""What is printed for a person: text of data and of language models never commands the terminal."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from augrec.artefacts.run_log import log_line
from augrec.artefacts.visible import visible


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


def say(text: str, *, error: bool = False) -> None:
    """Prints a message on stdout, or on stderr."""
    print(visible(text), file=sys.stderr if error else sys.stdout)
