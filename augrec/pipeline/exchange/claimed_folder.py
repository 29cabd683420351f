"""A folder that a command fills: claimed first, and said to be whole last.

What says so lies beside what was written. While the folder is filled it has another name, by which the next command
knows what one that broke off has left, and goes on from there instead of refusing the folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json, remove_file, write_json

UNFINISHED = ".unfinished"


def claim(out: Path, said: str, about: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Makes sure that a folder may be written to, and that it does not say to be whole while it is.

    Args:
        out: the folder, which need not be there.
        said: name of the file that will say what it is, written last by `complete`.
        about: what is known of that already.

    Returns:
        What that file said of an earlier time; {} where there was none.

    Raises:
        UsageError: the folder holds something else, or what differs from `about`.
    """
    if out.is_file():
        raise UsageError("the folder's name is taken by a file", where=out, remedy="name a new or empty folder")
    whole, mark = out / said, out / f"{said}{UNFINISHED}"
    there = next((path for path in (whole, mark) if path.exists()), None)
    if there is None and out.exists() and any(out.iterdir()):
        raise UsageError("the folder holds something else", where=out, remedy="name a new or empty folder")
    earlier: dict[str, Any] = read_json(there, remedy="delete the folder") if there else {}
    for name, value in about.items():
        if earlier.get(name, value) != value:
            what = f"the folder holds something else: its {name} is {earlier[name]}"
            raise UsageError(what, where=out, remedy="name a new or empty folder")
    write_json(mark, {**earlier, **about})
    remove_file(whole)
    return earlier


def complete(out: Path, said: str, content: dict[str, Any]) -> None:
    """Says that a folder is whole, and what it holds."""
    write_json(out / said, content)
    remove_file(out / f"{said}{UNFINISHED}")


def written_files(out: Path) -> list[str]:
    """The names of what was written into a folder so far."""
    return sorted(path.name for path in out.iterdir() if not path.name.endswith(UNFINISHED))
