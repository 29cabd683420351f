"""What became of one run of an experiment."""

from __future__ import annotations

from dataclasses import dataclass

from augrec.pipeline.config import Config
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.train import trainings_of
from augrec.pipeline.studies.plan import Cell
from augrec.report.study import Failure, SearchResult


@dataclass(frozen=True)
class Outcome:
    """What became of one cell: the config its trainings ran with, and its failures."""

    cell: Cell
    config: Config
    searched: tuple[SearchResult, ...]
    failures: tuple[Failure, ...]

    def finished_seeds(self) -> dict[str, list[int]]:
        """The seeds of each variant whose results on disk are those of this config; none where training never began."""
        seeds: dict[str, list[int]] = {name: [] for name in self.config.variants}
        if any(failure.variant is None and failure.stage not in ("train", "report") for failure in self.failures):
            return seeds
        for training in trainings_of(Run(self.config)):
            if training.finished():
                seeds[training.variant].append(training.seed)
        return seeds

    def why_missing(self, variant: str) -> str:
        """The reason a variant has no results, or lacks a seed; the first line of it."""
        own = [f for f in self.failures if f.variant == variant]
        whole = [f for f in self.failures if f.variant is None and f.stage != "report"]
        for failure in (*own, *whole):
            return failure.reason.splitlines()[0]
        return "it was not trained"
