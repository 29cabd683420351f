"""Checks config files of any kind without running anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import UsageError
from augrec.pipeline.config.kinds import COMPARISON, EXPERIMENT, SEARCH_SPACE, kind_of
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.config.sections import read_sections

if TYPE_CHECKING:
    from augrec.pipeline.preflight.findings import Finding, Look


@dataclass(frozen=True)
class CheckedFile:
    """A config file, and what was found of it."""

    path: Path
    kind: str | None
    """Its kind and size; None where it is wrong."""
    error: UsageError | None
    """What is wrong with it."""
    findings: tuple[Finding, ...] | None = None
    """What its runs would lack; None where nobody looked."""

    @property
    def ok(self) -> bool:
        """Whether it is right and, where somebody looked, nothing that it needs is missing."""
        return self.error is None and not self._problems

    @property
    def _problems(self) -> int:
        return sum(finding.level == "problem" for finding in self.findings or ())

    def in_words(self) -> str:
        """A line, and what is wrong or was found."""
        if self.error is not None:
            return f"{self.path}  wrong\n{self.error}"
        several = "s" if self._problems > 1 else ""
        ready = f"not ready, {self._problems} problem{several}" if self._problems else "ready"
        state = "ok" if self.findings is None else ready
        return "\n".join([f"{self.path}  {state}  ({self.kind})", *(f"  {finding}" for finding in self.findings or ())])

    def as_json(self) -> dict[str, Any]:
        """For the command line."""
        error = None
        if self.error is not None:
            error = {"what": self.error.what, "where": self.error.where, "remedy": self.error.remedy}
        found = None if self.findings is None else [asdict(finding) for finding in self.findings]
        return {"file": self.path, "ok": self.ok, "kind": self.kind, "error": error, "findings": found}


def check_files(
    paths: Iterable[Path],
    overrides: list[str] | None = None,
    *,
    look: Look | None = None,
    of_studies: Look | None = None,
) -> list[CheckedFile]:
    """Checks every file, whatever is wrong with those before it.

    Args:
        paths: the files.
        overrides: `key=value`, for all of them.
        look: looks for what a run's stages need, too; None: nobody looks.
        of_studies: the same for the runs of studies; None: as for this machine.
    """
    from augrec.pipeline.preflight.checks import look_at_run
    from augrec.pipeline.studies.preflight import look_at_file

    found = []
    for path in paths:
        try:
            kind = check_file(path, overrides)
            findings = (
                None
                if look is None
                else tuple(look_at_file(path, overrides, look, of_studies=of_studies or look_at_run))
            )
            found.append(CheckedFile(path, kind, None, findings))
        except UsageError as error:
            found.append(CheckedFile(path, None, error))
    return found


def render(found: Iterable[CheckedFile], console: Console) -> None:
    """A line for each file, and what is wrong with it or was found."""
    for file in found:
        console.print(file.in_words(), markup=False, highlight=False)


def check_file(path: Path, overrides: list[str] | None = None) -> str:
    """Checks a config with `key=value` overrides; returns its kind and size. A `UsageError` says what is wrong."""
    kind = kind_of(read_sections(path, overrides))
    if kind is COMPARISON:
        from augrec.pipeline.studies.comparison.plan import read_compare

        compare = read_compare(path, overrides).compare
        return f"comparison, {counted(len(compare.arms), 'arm')} x {counted(len(compare.recommenders), 'recommender')}"
    if kind is EXPERIMENT:
        from augrec.pipeline.studies.experiment.plan import read_experiment

        runs = len(read_experiment(path, overrides).cells)
        return f"experiment, {runs} run{'' if runs == 1 else 's'}"
    if kind is SEARCH_SPACE:
        from augrec.pipeline.studies.search.spaces import read_space

        if overrides:
            raise UsageError("a search space takes no overrides", where=path, remedy="edit the file")
        read_space(path)
        return "search space"
    read_config(path, overrides)
    return "run"
