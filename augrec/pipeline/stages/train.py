"""train: every variant with every seed, side by side where there are cores for it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from augrec.artefacts.cores import usable_cores
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.files import write_json
from augrec.artefacts.progress import progress
from augrec.pipeline.config import Config
from augrec.pipeline.host.workers import run_tasks
from augrec.pipeline.stages.base import Run, Stage, require_marker
from augrec.pipeline.training import Training, code_of, train_one, trainings, variant_identity


class Train(Stage):
    """Writes `train/<variant>/seed-<n>/` for every variant and seed. Trainings that are done are kept."""

    name = "train"
    after = ("prepare", "augment", "embed")

    def code(self, run: Run) -> tuple[str, ...]:
        config = run.config
        families = {module for variant in config.variants.values() for module in code_of(config, variant)}
        return (*super().code(run), *sorted(families))

    def section(self, run: Run) -> dict[str, Any]:
        config = run.config
        return {
            "variants": {name: variant_identity(config, variant) for name, variant in config.variants.items()},
            "training": config.training.model_dump(mode="json"),
            "evaluation": config.evaluation.model_dump(mode="json"),
            "seeds": {name: config.seeds_of(name) for name in config.variants},
        }

    def run(self, run: Run) -> dict[str, Any]:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UsageError(
                "the stages run in one process, and several were launched",
                remedy="start augrec without torchrun or accelerate launch, with training.processes=N",
            )
        wanted = trainings_of(run)
        waiting = [training for training in wanted if not training.finished()]
        failures = _train_all(waiting, min(run.workers or default_workers(run.config), len(waiting)))
        if failures:
            write_json(self.folder(run) / "failures.json", failures)
            listed = "\n".join(f"  - {name}: {reason}" for name, reason in failures.items())
            raise AugrecError(
                f"{len(failures)} of {len(wanted)} trainings failed:\n{listed}",
                where=self.folder(run) / "failures.json",
                remedy="the others are finished and kept; mend the cause and run the same command again",
            )
        (self.folder(run) / "failures.json").unlink(missing_ok=True)
        seeds = {training.seed for training in wanted}
        read = {path for training in wanted for path in training.reads}
        return {
            "trainings": len(wanted),
            "variants": len(run.config.variants),
            "seeds": len(seeds),
            "read": sorted(path.relative_to(run.folder).as_posix() for path in read),
        }

    def parts(self, run: Run) -> list[Path]:
        return [
            self.folder(run) / variant / f"seed-{seed}"
            for variant in run.config.variants
            for seed in run.config.seeds_of(variant)
        ]

    def outputs(self, run: Run) -> Iterable[Path]:
        return [folder / name for folder in self.parts(run) for name in ("metrics.json", "per_user.parquet")]

    def summary(self, details: dict[str, Any]) -> str:
        trainings, variants, seeds = (_counted(details, name) for name in ("trainings", "variants", "seeds"))
        return f"{trainings} ({variants} x {seeds})"


def _counted(details: dict[str, Any], name: str) -> str:
    """1 training, 2 trainings."""
    return f"{details[name]} {name if details[name] != 1 else name[:-1]}"


def trainings_of(run: Run) -> list[Training]:
    """All trainings of a run whose stages before this one are finished."""
    return trainings(run.config, run.folder, require_marker(run, "prepare").content)


def default_workers(config: Config) -> int:
    """How many trainings run side by side: one on an accelerator, else one per CPU core (or per group of threads)."""
    if config.workers is not None:
        return config.workers
    import torch

    device = config.training.device
    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        return 1
    own = [model.training.processes for model in config.models.values() if model.training]
    processes = max(config.training.processes, *own, 1)
    return max(1, usable_cores() // ((config.training.threads or 1) * processes))


def _train_all(waiting: list[Training], workers: int) -> dict[str, str]:
    """Runs trainings in processes of their own; returns the reason of each failure by variant and seed."""
    failures: dict[str, str] = {}
    if not waiting:
        return failures
    with progress("train", len(waiting), "trainings") as ticker:

        def done(training: Training, value: float | None, problem: str | None) -> Iterable[Training]:
            name = f"{training.variant}/seed-{training.seed}"
            if problem is not None:
                failures[name] = problem
            else:
                ticker.note(f"{name}  valid {training.config.training.monitor} {value:.4f}")
            ticker.advance()
            return ()

        run_tasks(partial(train_one, beside_others=workers > 1), waiting, workers, done)
    return failures
