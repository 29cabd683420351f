"""Energy that a source's answers took: a small file for each process that answered, see `augrec.artefacts.energy`."""

from __future__ import annotations

from pathlib import Path

from augrec.artefacts.energy import add_joules, joules_in
from augrec.artefacts.source_folder import SourceFolder


def add_energy(folder: Path, shard: int, joules: float | None) -> None:
    """Adds to what a source used, in a small file of each process that is replaced whole."""
    add_joules(SourceFolder(folder).note("energy", shard), joules)


def energy_of(folder: Path) -> float | None:
    """Joules of a source over all its processes; None where nothing counted them."""
    parts = [joules for path in SourceFolder(folder).notes("energy") if (joules := joules_in(path)) is not None]
    return sum(parts) if parts else None
