"""train: every variant with every seed, side by side where there are cores for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from artefacts.confinement import confined
from artefacts.errors import AugrecError, UsageError
from artefacts.files import digest, read_json, sha256_files, write_json
from artefacts.progress import progress
from pipeline.code_identity import code_identity
from pipeline.config import Config, Variant
from pipeline.side import side_files, side_information
from pipeline.stages.base import Run, Stage, require_marker
from pipeline.workers import run_tasks
from recsys.augmentation import SideInformation
from recsys.models.registry import FAMILIES

CODE = ("recsys", "pipeline.side", "embed.matrices")


@dataclass(frozen=True)
class Training:
    """One variant with one seed."""

    variant: str
    seed: int
    fingerprint: str
    run_folder: Path
    config: Config
    folder: Path | None = None
    """Where it writes, unless that is `train/<variant>/seed-<n>`."""
    judge_test: bool = True
    """Whether the test split is evaluated at the end; a search for options leaves it alone."""

    @property
    def out(self) -> Path:
        return self.folder or self.run_folder / "train" / self.variant / f"seed-{self.seed}"

    def metrics(self) -> dict[str, Any]:
        """What a finished training wrote about itself."""
        found: dict[str, Any] = read_json(self.out / "metrics.json", remedy="delete this file and run again")
        return found

    def finished(self, folder: Path | None = None) -> bool:
        """Whether the results in its folder (or another one) are those of this very training."""
        path = (folder or self.out) / "metrics.json"
        return (
            path.exists()
            and read_json(path, remedy="delete this file and run again").get("fingerprint") == self.fingerprint
        )


class Train(Stage):
    """Writes `train/<variant>/seed-<n>/` for every variant and seed. Trainings that are done are kept."""

    name = "train"
    after = ("prepare", "augment", "embed")
    code = CODE

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
        _remove_strangers(self.folder(run), run.config)
        trainings = trainings_of(run)
        waiting = [training for training in trainings if not training.finished()]
        failures = _train_all(waiting, min(run.workers or default_workers(run.config), len(waiting)))
        if failures:
            write_json(self.folder(run) / "failures.json", failures)
            listed = "\n".join(f"  - {name}: {reason}" for name, reason in failures.items())
            raise AugrecError(
                f"{len(failures)} of {len(trainings)} trainings failed:\n{listed}",
                where=self.folder(run) / "failures.json",
                remedy="the others are finished and kept; mend the cause and run the same command again",
            )
        (self.folder(run) / "failures.json").unlink(missing_ok=True)
        seeds = {training.seed for training in trainings}
        return {"trainings": len(trainings), "variants": len(run.config.variants), "seeds": len(seeds)}

    def outputs(self, run: Run) -> Iterable[Path]:
        folders = [
            self.folder(run) / variant / f"seed-{seed}"
            for variant in run.config.variants
            for seed in run.config.seeds_of(variant)
        ]
        return [folder / name for folder in folders for name in ("metrics.json", "per_user.parquet")]

    def summary(self, details: dict[str, Any]) -> str:
        return f"{details['trainings']} trainings ({details['variants']} variants x {details['seeds']} seeds)"


def variant_identity(config: Config, variant: Variant) -> dict[str, Any]:
    """A variant with its model's options: what a training is, apart from data, seed and code."""
    given = variant.model_dump(mode="json", exclude={"seeds"})  # each training has its own
    return {**given, "model": config.models[variant.model].model_dump(mode="json")}


def trainings_of(run: Run) -> list[Training]:
    """All trainings, each with the fingerprint of everything that determines its result."""
    config, dataset = run.config, require_marker(run, "prepare").content
    trainings = []
    hashes: dict[tuple[Path, ...], str] = {}  # variants share their files
    for name, variant in config.variants.items():
        files = tuple(side_files(run.folder, variant)) if uses_side(config, variant) else ()
        if files not in hashes:
            hashes[files] = sha256_files(run.folder, files)
        identity = {
            "code": code_identity(CODE),
            "dataset": dataset,
            "variant": variant_identity(config, variant),
            "training": config.training.model_dump(mode="json"),
            "evaluation": config.evaluation.model_dump(mode="json"),
            "side": hashes[files],
        }
        trainings += [
            Training(name, seed, digest({**identity, "seed": seed}), run.folder, config)
            for seed in config.seeds_of(name)
        ]
    return trainings


def uses_side(config: Config, variant: Variant) -> bool:
    """Whether the model can take features or edges; the others need not wait for, or depend on, any."""
    model = config.models[variant.model]
    return variant.source is not None or FAMILIES[model.family].uses_features(model)


def _remove_strangers(folder: Path, config: Config) -> None:
    """Removes variants and seeds that this config does not name, so that the report cannot mix configs."""
    for path in folder.glob("*/seed-*"):
        variant = path.parent.name
        if variant not in config.variants or path.name not in {f"seed-{seed}" for seed in config.seeds_of(variant)}:
            shutil.rmtree(path)
    for path in folder.iterdir() if folder.exists() else ():
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


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
    return max(1, len(os.sched_getaffinity(0)) // ((config.training.threads or 1) * processes))


def _train_all(trainings: list[Training], workers: int) -> dict[str, str]:
    """Runs trainings in processes of their own; returns the reason of each failure by variant and seed."""
    failures: dict[str, str] = {}
    if not trainings:
        return failures
    with progress("train", len(trainings), "trainings") as ticker:

        def done(training: Training, value: float | None, problem: str | None) -> Iterable[Training]:
            name = f"{training.variant}/seed-{training.seed}"
            if problem is not None:
                failures[name] = problem
            else:
                ticker.note(f"{name}  valid {training.config.training.monitor} {value:.4f}")
            ticker.advance()
            return ()

        run_tasks(partial(train_one, beside_others=workers > 1), trainings, workers, done)
    return failures


def train_one(training: Training, beside_others: bool) -> float:
    """One training, in a worker process; returns the monitored metric on validation.

    Small models beside each other would fight for the cores, so each keeps to one thread unless the config says more.
    """
    from recsys.data.dataset import Dataset
    from recsys.train import train

    config = training.config
    variant = config.variants[training.variant]
    dataset = Dataset.load(training.run_folder / "dataset")
    side = SideInformation()
    if uses_side(config, variant):
        side = side_information(training.run_folder, variant, dataset, training.seed)
    options = config.training
    if beside_others and options.threads is None:
        options = options.model_copy(update={"threads": 1})
    with confined(training.run_folder):
        metrics = train(
            dataset,
            config.models[variant.model],
            side,
            options,
            config.evaluation,
            training.seed,
            out=training.out,
            variant=training.variant,
            fingerprint=training.fingerprint,
            judge_test=training.judge_test,
        )
    return float(metrics["valid"][config.training.monitor])
