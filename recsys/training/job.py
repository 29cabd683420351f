"""What is trained: the job as it is asked for, and as one process has it in hand."""

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
    """A model, what it is trained on, and where the results go. Can be sent to other processes.

    Attributes:
        dataset: all of it; who fits a model (`FitJob`) is given the same with its test interactions sealed.
        model: the options of a family.
        side: features and suggested edges.
        training: options with the model's own in place.
        evaluation: the protocol.
        seed: of this training.
        out: the folder.
        variant, fingerprint: copied into metrics.json; a changed fingerprint voids a snapshot.
        judge_test: whether the test split is evaluated at the end.
        noise: the false interactions that are among those of training.
        start: embeddings to begin with, instead of those that the seed draws.
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
        """The model's."""
        return FAMILIES.find(self.model.family)

    @property
    def learns(self) -> bool:
        """Whether the family is trained in epochs."""
        return issubclass(self.family.model_class(), TrainedRecommender)

    @property
    def deterministic(self) -> bool:
        """Whether every seed gives the same: nothing is drawn by the model, nor is any part of `side`."""
        return not self.side.drawn and not self.training.noise and not draws(self.model)


@dataclass(frozen=True, eq=False)
class FitJob(TrainingJob):
    """A job in the hands of one process: what `Recommender.fit` works with.

    Attributes:
        accelerator: the device, the precision, and the sibling processes.
        validate: gives the validation metrics of the model as it is.
        optimise: the epoch loop, for models that are trained in epochs.
        train_member: trains another model with the same data and seed, without a look at the test split, and returns
            its folder; it is given the options, a name and a fingerprint.
        snapshot: where an unfinished training is kept, if anywhere.
        log: takes one line of text.
        ticker: is advanced once per epoch.
        memory: what is said when memory runs out.
        generators: those that were asked for, by purpose.
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
        """This training's generator for a purpose, on its device unless another is named; a snapshot keeps its state.

        The same for the same seed and purpose, in every process, whatever else is drawn.
        """
        if purpose not in self.generators:
            self.generators[purpose] = seeded(self.seed, purpose, device or self.accelerator.device)
        return self.generators[purpose]

    def require_validation(self, chosen: str, otherwise: str = "") -> None:
        """Raises DataError where there is no validation interaction.

        Args:
            chosen: what validation decides, e.g. "the epoch".
            otherwise: a further remedy, in words that follow the first one.
        """
        if not len(self.dataset.valid):
            raise DataError(
                f"there is no validation interaction to choose {chosen} on",
                remedy=f"give dataset.split a part for validation{otherwise}",
            )

    def explained(self, phase: Phase) -> AbstractContextManager[None]:
        """Says what was needed, and what to do, when memory runs out inside the block."""
        return explained(phase, self.memory)


def draws(model: FamilyOptions) -> bool:
    """Whether a model of these options draws anything: parameters, batches, or those of a component."""
    if model.components:
        return any(draws(component) for component in model.components.values())
    return issubclass(FAMILIES.find(model.family).model_class(), TrainedRecommender)
