"""The model of a finished training, read back with what it was given beside interactions."""

from __future__ import annotations

from augrec.pipeline.side import side_information
from augrec.pipeline.training import Training, uses_side
from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from recsys.models.base import Recommender
from recsys.training.restore import restore


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


def trained_model(training: Training, dataset: Dataset) -> Recommender:
    """The model, on the CPU and ready to score.

    Args:
        training: that has finished.
        dataset: what it scores on.

    Raises:
        DataError: the training kept no model.
    """
    model = training.config.models[training.config.variants[training.variant].model]
    return restore(training.out, dataset, model, side_of(training, dataset))
