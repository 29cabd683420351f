"""A search that goes through a list of options. The trainings on disk are its memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from augrec.pipeline.studies.search.subject import Subject, Values
from augrec.pipeline.studies.search.trials import Study, Trial
from augrec.report.study import Tried


class GridStudy(Study):
    """The trials of a list, all of which may be open at the same time.

    Args:
        subject: what is searched.
        folder: where the trials write.
        grid: the options of each trial.
    """

    def __init__(self, subject: Subject, folder: Path, grid: Sequence[Values]) -> None:
        super().__init__(subject, folder, budget=len(grid), at_once=len(grid))
        self.grid = grid
        self.problems: dict[int, str] = {}
        trials = [self.begin(position, options) for position, options in enumerate(grid)]
        self._values = {trial.position: trial.value for trial in trials if not trial.waiting}
        self._waiting = [trial for trial in trials if trial.waiting]

    def next(self) -> Trial | None:
        """See `Study.next`."""
        return self._waiting.pop(0) if self._waiting else None

    def tell(self, trial: Trial, problem: str | None) -> None:
        """See `Study.tell`."""
        if problem is None:
            self._values[trial.position] = trial.value
        else:
            self.problems[trial.position] = problem
            self.write_failure(trial, problem)

    def tried(self) -> list[Tried]:
        """See `Study.tried`."""
        return [
            Tried(options, "complete", self._values[position])
            if position in self._values
            else Tried(options, "fail" if position in self.problems else "waiting", None)
            for position, options in enumerate(self.grid)
        ]
