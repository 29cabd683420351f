"""Which engine made which records: a source may have been answered by several, one after the other or side by side.

Every stored record names a description in `engines/`, so that old records are not described as a new engine's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from augment.accounting.summary import TaskCounts
from augrec.artefacts.files import digest, read_json, write_json
from augrec.artefacts.source_folder import SourceFolder

GROWING = ("grammar_seconds", "records", "retried", "system_fingerprints")
"""What a description counts while an engine answers; no part of which engine it is."""
UNKNOWN = "unknown"
"""The engine of a record whose description is lost."""


class Maker(Protocol):
    """Whatever makes records: an engine, or a replay of records."""

    @property
    def identity(self) -> dict[str, Any]:
        """See Engine."""

    @property
    def context(self) -> int | None:
        """See Engine."""

    def describe(self) -> dict[str, Any]:
        """See Engine."""


def write_description(folder: Path, engine: Maker) -> str:
    """Writes what a started engine says of itself into the folder of a source; returns the name that its records carry.

    Called when the engine has started, and again at its end, with what it counted meanwhile.
    """
    described = _described(engine)
    name = digest({key: value for key, value in described.items() if key not in GROWING})[:16]
    write_json(SourceFolder(folder).engine(name), described)
    return name


def engines_of(folder: Path, engine: Maker, tallies: Iterable[TaskCounts]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What made the present records.

    Args:
        folder: R/augment/<source>.
        engine: described where there are no records yet.
        tallies: counts over the present records, by task.

    Returns:
        The description of the engine that made most of them; and, by name, every engine with how many it `made`,
        most first.
    """
    counts: Counter[str] = Counter()
    for tally in tallies:
        counts.update(tally.engines)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    if not names:
        return _described(engine), {}
    return _read(folder, names[0]), {name: {"made": counts[name], **_read(folder, name)} for name in names}


def _described(engine: Maker) -> dict[str, Any]:
    """What the engine says of itself; seconds are summed over all runs elsewhere."""
    return {name: value for name, value in engine.describe().items() if name != "grammar_seconds"}


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = SourceFolder(folder).engine(name)
    description: dict[str, Any] = read_json(path) if path.exists() else {"engine": UNKNOWN}
    return description
