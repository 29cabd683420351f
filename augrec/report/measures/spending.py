"""What a run spent: seconds, and energy where the devices count it, for generation, tuning, search and training.

Energy is that of devices and CPU packages by their own counters; where none could be read nothing is known and nothing
is guessed. CO2 equivalents are energy times a factor of the grid, which the config gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augrec.artefacts.energy import joules_in
from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.study_folder import SearchFolder
from augrec.report.sources import read_summaries

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Spending:
    """What one kind of work took.

    Attributes:
        what: the kind, e.g. "generation by smollm2".
        pieces: sources, tunings or trainings.
        seconds: of all pieces, one after the other; None where none says.
        energy_joules: of the pieces whose energy was counted; None where there is none.
        counted: how many these are.
    """

    what: str
    pieces: int
    seconds: float | None
    energy_joules: float | None
    counted: int


def co2_grams(joules: float | None, grams_per_kwh: float | None) -> float | None:
    """Grams of CO2 equivalent; None where energy or factor is not known."""
    return None if joules is None or grams_per_kwh is None else joules / JOULES_PER_KWH * grams_per_kwh


def read_spending(run: RunFolder, trained: Mapping[str, Iterable[int]]) -> tuple[Spending, ...]:
    """What a run folder tells of its own cost; kinds of work that were not done are left out.

    Args:
        run: the folder.
        trained: variant -> its seeds, of the trainings that count.
    """
    found = [
        Spending(
            f"generation by {name}", 1, summary.seconds, summary.energy_joules, int(summary.energy_joules is not None)
        )
        for name, summary in read_summaries(run.summary).items()
        if summary.llm and summary.seconds is not None
    ]
    marker = run.stage_marker(run.tune.root.name)
    if marker.exists():
        taken, joules = (read_json(marker).get("details") or {}).get("seconds"), joules_in(run.tune.energy)
        found.append(Spending("instruction tuning", 1, taken, joules, int(joules is not None)))
    first = [run.candidates_model.metrics, *(training.metrics for training in run.base_trainings())]
    models = [SearchFolder(path) for path in sorted(run.search.glob("*")) if path.is_dir()]
    trials = [training.metrics for model in models for trial in model.trials() for training in trial.trainings()]
    own = [run.training(variant, seed).metrics for variant, seeds in trained.items() for seed in seeds]
    kinds = {"candidates and base recommender": first, "search for options": trials, "reported trainings": own}
    return (*found, *(spent for what, paths in kinds.items() if (spent := _trainings(what, paths)) is not None))


def _trainings(what: str, paths: Iterable[Path]) -> Spending | None:
    told: list[dict[str, Any]] = [read_json(path) for path in paths if path.exists()]
    if not told:
        return None
    joules = [float(one["energy_joules"]) for one in told if one.get("energy_joules") is not None]
    taken = [float(one["seconds"]) for one in told if one.get("seconds") is not None]
    return Spending(what, len(told), sum(taken) if taken else None, sum(joules) if joules else None, len(joules))
