"""Training jobs: what is to be trained, and what one process needs to train it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator

from augrec.artefacts.errors import DataError
from augrec.artefacts.progress import Ticker
from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from recsys.data.noise import Noise
from recsys.models.base import Fitted, TrainedRecommender
from recsys.models.options.base import FamilyOptions
from recsys.models.options.families import Family
from recsys.models.registry import FAMILIES
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.seeds import seeded
from recsys.training.memory import Explanation, Phase, explained
from recsys.training.snapshot import Snapshot
from recsys.training.start import Start

Log = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """A model, its data and options, and the folder of its results. Can be sent to other processes.

    Attributes:
        dataset: with the test interactions; a `FitJob` has the same data with these sealed.
        model: the model's options.
        side: features and suggested edges.
        training: the training options, with those that the model sets differently.
        evaluation: the protocol.
        seed: the seed of this training.
        out: the folder of the results.
        variant, fingerprint: copied into metrics.json; a snapshot of another fingerprint is not used.
        judge_test: whether the test split is evaluated at the end.
        noise: the false interactions that were added to the training interactions.
        start: initial embeddings, instead of random ones.
    """

    dataset: Dataset
    model: FamilyOptions
    side: SideInformation
    training: TrainingOptions
    evaluation: EvaluationOptions
    seed: int
    out: Path
    variant: str
    fingerprint: str
    judge_test: bool
    noise: Noise
    start: Start | None

    @property
    def family(self) -> Family:
        """The family of the model."""
        return FAMILIES.find(self.model.family)

    @property
    def learns(self) -> bool:
        """Whether the family is trained in epochs."""
        return issubclass(self.family.model_class(), TrainedRecommender)

    @property
    def deterministic(self) -> bool:
        """Whether the result does not depend on the seed: neither the model nor `side` draws anything."""
        return not self.side.drawn and not self.training.noise and not draws(self.model)


@dataclass(frozen=True, eq=False)
class FitJob(TrainingJob):
    """A job with everything that one process needs to do it: the argument of `Recommender.fit`.

    Attributes:
        accelerator: the device, the precision, and the other processes of a distributed training.
        validate: computes the validation metrics of the model in its current state.
        optimise: the epoch loop, for models that are trained in epochs.
        train_member: trains another model on the same data with the same seed, does not read the test split, and
            returns its folder; its arguments are the options, a name and a fingerprint.
        snapshot: keeps the state of an unfinished training; None if it is not kept.
        log: writes a line to the log.
        ticker: the progress display, advanced once per epoch.
        memory: the explanation that is given when memory runs out.
        generators: the generators that were requested so far, by purpose.
    """

    accelerator: Accelerator
    validate: Callable[[], dict[str, float]]
    optimise: Callable[[TrainedRecommender, FitJob], Fitted]
    train_member: Callable[[FamilyOptions, str, str], Path]
    snapshot: Snapshot | None
    log: Log
    ticker: Ticker | None
    memory: Explanation
    generators: dict[str, torch.Generator] = field(default_factory=dict)

    def generator(self, purpose: str, device: torch.device | str | None = None) -> torch.Generator:
        """The random generator of this training for a purpose, by default on its device; snapshots keep its state.

        It depends on the seed and the purpose alone: it is the same in every process, whatever else is drawn.
        """
        if purpose not in self.generators:
            self.generators[purpose] = seeded(self.seed, purpose, device or self.accelerator.device)
        return self.generators[purpose]

    def require_validation(self, chosen: str, otherwise: str = "") -> None:
        """Raises DataError if there is no validation interaction.

        Args:
            chosen: what validation is needed for, e.g. "the epoch".
            otherwise: a second remedy, in words that continue the first one.
        """
        if not len(self.dataset.valid):
            raise DataError(
                f"there is no validation interaction to choose {chosen} on",
                remedy=f"give dataset.split a part for validation{otherwise}",
            )

    def explained(self, phase: Phase) -> AbstractContextManager[None]:
        """If memory runs out inside the block, the error says how much was needed and what to do."""
        return explained(phase, self.memory)


def draws(model: FamilyOptions) -> bool:
    """Whether a model with these options, or one of its components, draws parameters or batches at random."""
    if model.components:
        return any(draws(component) for component in model.components.values())
    return issubclass(FAMILIES.find(model.family).model_class(), TrainedRecommender)
