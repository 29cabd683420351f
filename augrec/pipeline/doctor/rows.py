"""What the doctor's findings are made of."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "wrong", "info"]


@dataclass(frozen=True)
class Row:
    """One thing that is there, missing, or does not fit."""

    name: str
    state: State
    value: str
    """Version, size, place, or what is wrong."""
    remedy: str | None = None
    """The command or edit that mends it."""
    required: bool = False
    """Whether nothing works without it."""


@dataclass(frozen=True)
class Section:
    """Rows that belong together."""

    title: str
    rows: list[Row]


def program(title: str, names: tuple[str, ...], remedy: str) -> Row:
    """The first of several programs that is on PATH."""
    program_path = next((path for name in names if (path := shutil.which(name))), None)
    return Row(title, "ok", program_path) if program_path else Row(title, "missing", "not on PATH", remedy)
