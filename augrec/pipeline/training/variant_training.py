"""One training of a run: a variant with a seed, what it is made from, and how it is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augrec.artefacts.confinement import confined
from augrec.artefacts.files import digest, read_json, sha256_files
from augrec.artefacts.run_folder import RunFolder, TrainingFolder
from augrec.pipeline.identity.code_identity import code_identity
from augrec.pipeline.identity.metric_code import metric_modules
from augrec.pipeline.side.side_information import side_files, side_information
from augrec.pipeline.training.start_from import Origin, start_content
from recsys.augmentation import SideInformation
from recsys.models.registry import FAMILIES

if TYPE_CHECKING:
    from augrec.pipeline.config.run_config import Config, Variant
    from recsys.data.dataset import Dataset


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
    reads: tuple[Path, ...] = ()
    """The matrices and records that the model is given."""

    @property
    def out(self) -> Path:
        """The folder of its results."""
        return self.folder or RunFolder(self.run_folder).training(self.variant, self.seed).root

    def metrics(self) -> dict[str, Any]:
        """What a finished training wrote about itself."""
        found: dict[str, Any] = read_json(TrainingFolder(self.out).metrics, remedy="delete this file and run again")
        return found

    def finished(self, folder: Path | None = None) -> bool:
        """Whether the results in its folder (or another one) are those of this very training."""
        there = TrainingFolder(folder or self.out)
        if not there.metrics.exists() or (self.judge_test and not there.per_user.exists()):
            return False
        found = read_json(there.metrics, remedy="delete this file and run again")
        return isinstance(found, dict) and found.get("fingerprint") == self.fingerprint


def trainings(config: Config, folder: Path, dataset: str) -> list[Training]:
    """All trainings, each with the fingerprint of everything that determines its result.

    Args:
        config: of the run.
        folder: the run folder, with the matrices and records that the variants are given.
        dataset: the hash of the prepared data.
    """
    found = []
    hashes: dict[tuple[Path, ...], str] = {}  # variants share their files
    for name, variant in config.variants.items():
        files = tuple(side_files(folder, variant)) if uses_side(config, variant) else ()
        if files not in hashes:
            hashes[files] = sha256_files(folder, files)
        identity = {
            "code": code_identity(code_of(config, variant)),
            "dataset": dataset,
            "variant": variant_identity(config, variant),
            "training": config.training.model_dump(mode="json"),
            "evaluation": config.evaluation.model_dump(mode="json"),
            "side": hashes[files],
        }
        for seed in config.seeds_of(name):
            start = {"start": start_content(variant.start_from, seed, folder)} if variant.start_from else {}
            fingerprint = digest({**identity, **start, "seed": seed})
            found.append(Training(name, seed, fingerprint, folder, config, reads=files))
    return found


def code_of(config: Config, variant: Variant) -> tuple[str, ...]:
    """The modules whose code, with all that it imports, determines the result of a training."""
    model = config.models[variant.model]
    return (__name__, *FAMILIES[model.family].modules(model), *metric_modules())


def variant_identity(config: Config, variant: Variant) -> dict[str, Any]:
    """A variant with its model's options: what a training is, apart from data, seed and code."""
    given = variant.model_dump(mode="json", exclude={"seeds", "start_from"})  # each training has its own
    return {**given, "model": config.models[variant.model].model_dump(mode="json")}


def uses_side(config: Config, variant: Variant) -> bool:
    """Whether the model can take features or edges; the others need not wait for, or depend on, any."""
    model = config.models[variant.model]
    return variant.source is not None or FAMILIES[model.family].uses_features(model)


def side_of(training: Training, dataset: Dataset) -> SideInformation:
    """What a training's model is given beside interactions; nothing for a model that takes nothing.

    Args:
        training: of a run whose augmentation and matrices are there.
        dataset: the run's.
    """
    config, variant = training.config, training.config.variants[training.variant]
    if not uses_side(config, variant):
        return SideInformation()
    return side_information(training.run_folder, variant, dataset, training.seed)


def train_one(training: Training, beside_others: bool) -> float:
    """One training, in a worker process; returns the monitored metric on validation.

    Small models beside each other would fight for the cores, so each keeps to one thread unless the config says more.
    """
    from recsys.data.dataset import Dataset
    from recsys.training.train import train

    config = training.config
    variant = config.variants[training.variant]
    start = variant.start_from
    dataset = Dataset.load(RunFolder(training.run_folder).dataset, test=training.judge_test)
    side = side_of(training, dataset)
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
            start=Origin.of(start, training.seed, training.run_folder).read(dataset) if start else None,
        )
    return float(metrics["valid"][config.training.monitor])
