"""Names that become a file, an entry of a list, a SLURM job or an id on a page, wherever they come from.

A config, a pickle or a record of somebody else chooses them, so one rule holds for all: a name is the same on every
file system, is never a path, and ends no list it stands in.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator

from augrec.artefacts.errors import DataError

T = TypeVar("T")

LONGEST = 100
"""Letters; with a suffix and the mark of an unfinished file a name stays below the 255 bytes of a file system."""
ALLOWED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*")
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
"""What Windows opens as a device, whatever the folder and the suffix."""
SUFFIXES = (".json", ".jsonl", ".lock", ".log", ".npy", ".parquet", ".tmp", ".yaml")
"""Endings of the files that lie beside folders called by such names."""


def name_problem(name: object) -> str | None:
    """Why something cannot be a name; None where it can."""
    if not isinstance(name, str):
        return f"a name is text, not {type(name).__name__}"
    if not name:
        return "a name cannot be empty"
    shown = repr(name) if len(name) <= LONGEST else f"{name[:20]!r}..."
    if len(name) > LONGEST:
        return f"the name {shown} has {len(name)} letters, at most {LONGEST} are possible"
    if not ALLOWED.fullmatch(name):
        foreign = next((letter for letter in name if letter > "\x7f" and letter.isprintable()), "")
        told = f"; '{foreign}' is U+{ord(foreign):04X}" if foreign else ""  # it may look like one of a-z
        return f"{shown} cannot be a name: use letters a-z, digits and _ . + = -, with a letter, digit or _ first{told}"
    if RESERVED.fullmatch(name):
        return f"{shown} cannot be a name: it is a device on Windows"
    if name.endswith(".") or name.casefold().endswith(SUFFIXES):
        return f"{shown} cannot be a name: it ends like a file's, or in a dot"
    return None


def field_problem(name: object) -> str | None:
    """Why something cannot be the name of a field: a name that a model also calls its layers by, so without a dot."""
    problem = name_problem(name)
    if problem is None and ("." in str(name) or "=" in str(name)):
        return f"'{name}' cannot be the name of a field: use letters a-z, digits and _ + -"
    return problem


def colliding(names: Iterable[str]) -> tuple[str, str] | None:
    """Two names that are one file where capitals do not count (macOS, Windows); None where all differ."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            return other, name
    return None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ "; did you mean 'x'?" with the nearest of the known names; "" where none is near. Ends a message."""
    hint = suggestion(name, known)
    return f"; {hint.rstrip()}" if hint else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """ "did you mean 'x'? " with the nearest of the known names; "" where none is near. Begins a remedy."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'? " if close else ""


def check_fields(
    names: Iterable[object], where: str | Path, what: str, *, remedy: str, taken: Iterable[str] = ()
) -> None:
    """Raises DataError for the first name of a field, from a file, that cannot be one.

    Args:
        names: as the file has them.
        where: the file.
        what: they are, e.g. "attribute".
        remedy: what to do about it.
        taken: names of ours that stand beside them.
    """
    listed, ours = list(names), {name.casefold() for name in taken}
    for name in listed:
        problem = field_problem(name)
        if problem is not None:
            raise DataError(f"the {what} name is refused: {problem}", where=where, remedy=remedy)
        if str(name).casefold() in ours:
            raise DataError(f"the {what} name is refused: '{name}' is taken", where=where, remedy=remedy)
    pair = colliding(str(name) for name in listed)
    if pair is not None:
        what = f"the {what} names '{pair[0]}' and '{pair[1]}' differ in capitals alone"
        raise DataError(what, where=where, remedy=remedy)


def _checked(name: str) -> str:
    problem = name_problem(name)
    if problem is not None:
        raise ValueError(problem)
    return name


def _checked_field(name: str) -> str:
    problem = field_problem(name)
    if problem is not None:
        raise ValueError(problem)
    return name


def _checked_title(title: str) -> str:
    if not title.strip() or len(title) > LONGEST or not title.isprintable():
        raise ValueError(f"a title is one line of 1 to {LONGEST} letters that can be seen")
    if "/" in title or "\\" in title:
        raise ValueError(f"{title!r} cannot be a title: it would be a path where somebody makes a file of it")
    return title


def _distinct(named: dict[str, T]) -> dict[str, T]:
    pair = colliding(named)
    if pair is not None:
        raise ValueError(
            f"'{pair[0]}' and '{pair[1]}' differ in capitals alone, and some file systems see no difference"
        )
    return named


def _named_folder(path: object) -> object:
    if isinstance(path, str) and (not path.strip() or "\0" in path):
        raise ValueError("name a folder; an empty name would be the folder one stands in")
    return path


Folder = Annotated[Path, BeforeValidator(_named_folder)]
"""A folder to write to."""
Name = Annotated[str, AfterValidator(_checked)]
"""A name in a config."""
Title = Annotated[str, AfterValidator(_checked_title)]
"""What people call a thing, e.g. a data set: shown on pages and in tables, with blanks and letters of any script."""
FieldName = Annotated[str, AfterValidator(_checked_field)]
"""A name in a config of what becomes a matrix and a layer."""
Named = Annotated[dict[Name, T], AfterValidator(_distinct)]
"""A section of a config whose keys are names of the user's own, no two of them one file anywhere."""
NamedFields = Annotated[dict[FieldName, T], AfterValidator(_distinct)]
"""The same, of fields."""
