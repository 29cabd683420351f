"""The model of a finished training, read back with what it was given beside interactions."""

from __future__ import annotations

from augrec.pipeline.training.variant_training import Training, side_of
from recsys.data.dataset import Dataset
from recsys.models.base import Recommender
from recsys.training.restore import restore


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
