"""How long a run has still to go: by what its stages took when they last ran, in a first run by what is expected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.progress import clock

if TYPE_CHECKING:
    from augrec.pipeline.stages.base import Run, Stage


@dataclass(frozen=True)
class Expected:
    """What some stages of a run will take together."""

    stages: tuple[str, ...]
    seconds: float
    by: str
    """How that is known, e.g. "as fast as in runs/demo"."""


Guess = Callable[["Run"], "Expected | None"]
"""What is expected of a run whose data are prepared; None where nothing can be said."""


class Pace:
    """What the stages of a run take.

    Args:
        run: the run.
        stages: its chain.
        guess: asked once, where a stage never ran and the data are prepared.
    """

    def __init__(self, run: Run, stages: Sequence[Stage] = (), guess: Guess | None = None) -> None:
        self._run, self._stages, self._guess = run, [stage.name for stage in stages], guess
        self._took = _read(run)
        self._expected: Expected | None = None

    def ahead(self, stage: str) -> str:
        """What this stage and those after it will take, in words; "" where nothing is known."""
        rest = self._stages[self._stages.index(stage) :] if stage in self._stages else []
        new = [name for name in rest if name not in self._took]
        if rest and not new:
            return f"all from here to the end took {clock(sum(self._took[name] for name in rest))} last time"
        if self._guess is not None and stage != self._stages[0]:
            self._expected, self._guess = self._guess(self._run), None
        expected = self._expected
        if expected is None or not set(expected.stages) & set(new):
            return ""
        known = expected.seconds + sum(self._took[name] for name in rest if name in self._took)
        unknown = [name for name in new if name not in expected.stages]
        but = f", without {', '.join(unknown)}, which never ran" if unknown else ""
        return f"from here to the end some {clock(known)}{but}; {', '.join(expected.stages)}: {expected.by}"

    def ran(self, stage: str, seconds: float) -> None:
        """Remembers what a stage took."""
        self._took[stage] = round(seconds, 1)
        write_json(self._run.files.seconds, self._took)


def _read(run: Run) -> dict[str, float]:
    """What each stage took when it last ran, with those that have no marker now."""
    try:
        found = read_json(run.files.seconds) if run.files.seconds.exists() else {}
        return {str(name): float(seconds) for name, seconds in found.items()}
    except (AugrecError, AttributeError, TypeError, ValueError):
        return {}  # a hint that is damaged is none
