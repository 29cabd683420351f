"""Checks config files of any kind without running anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from augrec.artefacts.errors import UsageError
from augrec.pipeline.config import read_config, read_sections
from augrec.pipeline.config_kinds import COMPARISON, EXPERIMENT, SEARCH_SPACE, kind_of


@dataclass(frozen=True)
class CheckedFile:
    """A config file, and what was found of it."""

    path: Path
    kind: str | None
    """Its kind and size; None where it is wrong."""
    error: UsageError | None
    """What is wrong with it."""

    def as_json(self) -> dict[str, Any]:
        """For the command line."""
        error = None
        if self.error is not None:
            error = {"what": self.error.what, "where": self.error.where, "remedy": self.error.remedy}
        return {"file": self.path, "ok": self.error is None, "kind": self.kind, "error": error}


def check_files(paths: Iterable[Path]) -> list[CheckedFile]:
    """Checks every file, whatever is wrong with those before it."""
    found = []
    for path in paths:
        try:
            found.append(CheckedFile(path, check_file(path), None))
        except UsageError as error:
            found.append(CheckedFile(path, None, error))
    return found


def render(found: Iterable[CheckedFile], console: Console) -> None:
    """A line for each file, and what is wrong with it."""
    for file in found:
        said = f"{file.path}  ok  ({file.kind})" if file.error is None else f"{file.path}  wrong\n{file.error}"
        console.print(said, markup=False, highlight=False)


def check_file(path: Path) -> str:
    """Checks a config; returns its kind and size. A `UsageError` says what is wrong."""
    kind = kind_of(read_sections(path))
    if kind is COMPARISON:
        from augrec.pipeline.studies.comparison.plan import read_compare

        compare = read_compare(path).compare
        return f"comparison, {len(compare.arms)} arms x {len(compare.recommenders)} recommenders"
    if kind is EXPERIMENT:
        from augrec.pipeline.studies.experiment.plan import read_experiment

        runs = len(read_experiment(path).cells)
        return f"experiment, {runs} run{'' if runs == 1 else 's'}"
    if kind is SEARCH_SPACE:
        from augrec.pipeline.studies.search.spaces import read_space

        read_space(path)
        return "search space"
    read_config(path)
    return "run"
