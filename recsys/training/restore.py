"""A trained recommender read back from its folder."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from augrec.artefacts.errors import DataError
from augrec.artefacts.run_folder import TrainingFolder
from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from recsys.data.noise import read_noise, with_false_interactions
from recsys.models.base import Recommender
from recsys.models.build import build_model
from recsys.models.options.base import FamilyOptions
from recsys.seeds import seeded


def restore(folder: Path, dataset: Dataset, model: FamilyOptions, side: SideInformation) -> Recommender:
    """The recommender that `train` wrote into `folder`, ready to score.

    Args:
        folder: of the training.
        dataset, model, side: as they were given to `train`.

    Raises:
        DataError: there is no model, or it was trained on other data or with other options.
    """
    path = TrainingFolder(folder).model
    dataset = with_false_interactions(dataset, read_noise(TrainingFolder(folder).noise))
    remedy = "train it again, with training.keep_checkpoint on"
    recommender = build_model(dataset, side, model, seeded(0, "parameters"))
    try:
        recommender.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise DataError("the trained model is not there", where=path, remedy=remedy) from None
    except (SafetensorError, RuntimeError) as error:
        raise DataError(f"the trained model does not fit ({error})", where=path, remedy=remedy) from None
    return recommender.eval()
