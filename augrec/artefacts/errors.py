"""Errors a user can act on: what went wrong, where, and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class AugrecError(Exception):
    """Something failed that the user can mend; shown without a traceback.

    Args:
        what: one sentence on what is wrong.
        where: the file, row, key or request concerned.
        remedy: what to do about it, as a command or an edit.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | Path | None = None, remedy: str | None = None) -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = str(where) if where is not None else None
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.what, self.where, self.remedy)  # errors travel between processes

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where:  {self.where}")
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        return "\n".join(lines)


def _again(kind: type[AugrecError], what: str, where: str | None, remedy: str | None) -> AugrecError:
    return kind(what, where=where, remedy=remedy)


class UsageError(AugrecError):
    """The command line or a config file is wrong; nothing was run."""

    exit_code = 2


class DataError(AugrecError):
    """An input file is missing, malformed or does not fit its neighbours."""
