"""What was found before a run: what would stop it, what is worth a thought, and what is so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from augrec.artefacts.errors import AugrecError, UsageError

if TYPE_CHECKING:
    from augrec.pipeline.stages.base import Run

Level = Literal["problem", "caution", "fact"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        level: a problem stops the run sooner or later; a caution may; a fact is told to whoever asks.
        what: in a sentence.
        where: the key of the config, or the option of the command.
        remedy: what to do about it.
    """

    level: Level
    what: str
    where: str
    remedy: str | None = None

    def __str__(self) -> str:
        remedy = f"\n    remedy: {self.remedy}" if self.remedy else ""
        return f"{self.level}  {self.where}: {self.what}{remedy}"


class Look(Protocol):
    """Looks for what a run would lack where it is to be done."""

    def __call__(self, run: Run, *, coming: Collection[Path] = ()) -> list[Finding]:
        """What it found.

        Args:
            run: the run.
            coming: folders of records that an earlier step of a study makes.
        """


def refusals(where: str, look: Callable[[], object]) -> list[Finding]:
    """The error that looking raises, as a problem of a key of the config; nothing where it raises none."""
    try:
        look()
    except AugrecError as error:
        place = f" ({error.where})" if error.where else ""
        return [Finding("problem", f"{error.what}{place}", where, error.remedy)]
    return []


def require(findings: Iterable[Finding], where: str) -> list[Finding]:
    """The findings without those that nobody has to act on.

    Raises:
        UsageError: there are problems; it lists all of them.
    """
    found = list(findings)
    problems = [finding for finding in found if finding.level == "problem"]
    if problems:
        count = "one thing is" if len(problems) == 1 else f"{len(problems)} things are"
        listed = "\n".join(f"  - {_entry(problem)}" for problem in problems)
        raise UsageError(
            f"{count} missing or wrong that a later stage needs; nothing was begun:\n{listed}",
            where=where,
            remedy="mend them; `augrec validate --deep CONFIG` looks again",
        )
    return [finding for finding in found if finding.level == "caution"]


def _entry(problem: Finding) -> str:
    remedy = f"\n      remedy: {problem.remedy}" if problem.remedy else ""
    return f"{problem.where}: {problem.what}{remedy}"
