"""What became of one run of an experiment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import MARKER, RunFolder
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run, read_marker
from augrec.pipeline.stages.train import trainings_of
from augrec.pipeline.studies.experiment.compose import points
from augrec.pipeline.studies.experiment.plan import ExperimentPlan
from augrec.pipeline.studies.plan import Cell
from augrec.report.study import Failure, Named, SearchResult, Study, StudyRun, StudyVariant, Swept
from recsys.models.registry import FAMILIES


@dataclass(frozen=True)
class CellOutcome:
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

    def _reranked(self, finished: Mapping[str, list[int]]) -> dict[str, StudyVariant]:
        """The rows of re-ranking, as variants; none of their seeds is finished where the stage failed."""
        files, config = RunFolder(self.cell.folder), self.config
        failed = any(failure.stage == "rerank" for failure in self.failures)
        found = {}
        for name, row in config.reranked.items():
            variant = config.variants[row.variant]
            there = [seed for seed in finished.get(row.variant, ()) if files.reranked(name, seed).metrics.exists()]
            family = config.models[variant.model].family
            seeds = tuple(config.seeds_of(row.variant))
            done = () if failed else tuple(there)
            found[name] = StudyVariant(variant.model, family, FAMILIES[family].kind, seeds, done, reranked=True)
        return found

    def as_run(self) -> StudyRun:
        """What the pages see of it."""
        folder, config, finished = RunFolder(self.cell.folder), self.cell.config, self.finished_seeds()
        marker = read_marker(folder.dataset)
        return StudyRun(
            dataset=self.cell.dataset,
            setting=self.cell.setting,
            folder=folder.root,
            seeds=tuple(self.config.seeds),
            variants={
                name: StudyVariant(
                    variant.model,
                    config.models[variant.model].family,
                    FAMILIES[config.models[variant.model].family].kind,
                    tuple(config.seeds_of(name)),
                    tuple(_finished_in_all(finished, config.draws_of(name))),
                    draws=tuple(config.draws_of(name)),
                )
                for name, variant in config.variants.items()
                if name in config.shown_variants()
            }
            | self._reranked(finished),
            data=marker.content if marker else None,
            seconds=sum(_seconds(stage.folder_in(folder.root) / MARKER) for stage in STAGES.values()),
            searched=self.searched,
            failures=self.failures,
        )


def _finished_in_all(finished: Mapping[str, list[int]], draws: Iterable[str]) -> list[int]:
    """The seeds with which every draw of a variant finished."""
    first, *further = (finished.get(draw, []) for draw in draws)
    return [seed for seed in first if all(seed in other for other in further)]


def study_of(plan: ExperimentPlan, outcomes: list[CellOutcome]) -> Study:
    """An experiment as its pages see it."""
    experiment = plan.experiment
    return Study(
        name=experiment.name,
        title=experiment.title or experiment.name,
        folder=experiment.folder,
        datasets={name: Named(part.title or name, part.paper) for name, part in experiment.datasets.items()},
        settings={name: Named(part.title or name) for name, part in experiment.settings.items()},
        sweeps={
            name: Swept(
                sweep.title or sweep.option,
                sweep.option,
                sweep.metrics,
                {variant: points(sweep, variant, line) for variant, line in sweep.lines(name).items()},
            )
            for name, sweep in experiment.sweeps.items()
        },
        searches=experiment.search is not None,
        runs=tuple(outcome.as_run() for outcome in outcomes),
    )


def _seconds(marker: Path) -> float:
    """What a stage took; 0 where it did not finish."""
    return float(read_json(marker).get("seconds", 0.0)) if marker.exists() else 0.0
