"""Trains a recommender with several seeds, and reads the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from augrec.api.arguments import require
from augrec.api.scratch import scratch_folder
from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import digest
from augrec.artefacts.plugins import load_plugins
from augrec.artefacts.run_folder import TrainingFolder
from augrec.artefacts.trainings import TrainingResult, read_training
from augrec.pipeline.config.sections import validated
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.data.dataset import Dataset
from recsys.models.base import Recommender
from recsys.models.options.base import FamilyOptions
from recsys.models.registry import FAMILIES
from recsys.options import EvaluationOptions, Judged, TrainingOptions
from recsys.training.job import draws
from recsys.training.restore import restore
from recsys.training.train import train as train_once

MONITORS = {Judged.RANKING: "ndcg@10", Judged.NEXT_ITEM: "ndcg@10", Judged.RATING: "rmse"}
Features = Mapping[str, np.ndarray]
ROWS = "give one row for each row of `dataset.items` or `dataset.users`, in their order; zeros for a missing one"


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """One recommender, trained with several seeds and selected on validation; the test split was not used.

    Attributes:
        name: its name in tables and comparisons.
        dataset: the data it was trained on.
        options: the options of its family.
        training: the training options.
        side: the features it was given beside the interactions.
        seeds: the training seeds; a model without randomness has one.
        folder: has a folder for each seed, with the parameters, the log and the validation metrics.
    """

    name: str
    dataset: Dataset
    options: FamilyOptions
    training: TrainingOptions
    side: SideInformation
    seeds: tuple[int, ...]
    folder: Path

    def __repr__(self) -> str:
        data = self.dataset.meta.get("name", "data")
        return f"<{self.name}, trained on {data} with {counted(len(self.seeds), 'seed')}>"

    @cached_property
    def results(self) -> Mapping[int, TrainingResult]:
        """seed -> the result of its training: validation metrics, epochs, seconds, loss terms."""
        return {seed: read_training(TrainingFolder(_of_seed(self.folder, seed))) for seed in self.seeds}

    @property
    def valid(self) -> dict[str, float]:
        """metric -> its mean over seeds on validation."""
        tables = [result.valid for result in self.results.values()]
        return {metric: float(np.mean([table[metric] for table in tables])) for metric in tables[0]}

    def recommender(self, seed: int | None = None) -> Recommender:
        """The trained model, a `torch.nn.Module` that is ready to score; by default that of the first seed."""
        folder = self.of_seed(self.seeds[0] if seed is None else seed)
        return restore(folder, self.dataset, self.options, self.side)

    def of_seed(self, seed: int) -> Path:
        """The folder of the training with this seed. Raises UsageError if there is none."""
        if seed not in self.seeds:
            raise UsageError(f"{self.name} was not trained with seed {seed}", remedy=f"one of {self.seeds}")
        return _of_seed(self.folder, seed)


def train(
    dataset: Dataset,
    model: str | FamilyOptions = "lightgcn",
    *,
    seeds: int | Iterable[int] = 5,
    item_features: Features | None = None,
    user_features: Features | None = None,
    training: Mapping[str, Any] | None = None,
    name: str | None = None,
    folder: Path | str | None = None,
    **options: Any,
) -> TrainedModel:
    """Trains a recommender with several seeds, each selected on validation. The test split is not read.

    Args:
        dataset: the data.
        model: the name of a family, see `recommenders()`, or the options of one.
        seeds: the seeds, or their number (1, 2, ...). A model without randomness is computed once.
        item_features, user_features: name -> float32 [n, d], row = contiguous id; a row of zeros counts as missing.
        training: options of `recsys.options.TrainingOptions`, such as `{"epochs": 50, "lr": 0.01}`. The epoch is
            selected by ndcg@10 (rmse for models that predict ratings) unless they name another `monitor`.
        name: its name in comparisons; by default that of the family.
        folder: where to keep the results; without one they are deleted with the process.
        options: options of the family, such as `dim=64`; `augrec models FAMILY` lists them.

    Raises:
        UsageError: there is no such family or option.
        DataError: there are no validation interactions, or the model needs features that were not given.
    """
    require(dataset, Dataset, "dataset", "train()", "prepare() makes one of a table, Dataset.load() reads one")
    chosen = _options(model, options)
    wanted = _training(chosen, training or {})
    side = SideInformation(
        user=_matrices(user_features, dataset.n_users, "user_features"),
        item=_matrices(item_features, dataset.n_items, "item_features"),
    )
    numbers = tuple(range(1, seeds + 1)) if isinstance(seeds, int) else tuple(seeds)
    if not numbers:
        raise UsageError("no seed was given", where="seeds", remedy="give one or more")
    if not draws(chosen):
        numbers = numbers[:1]
    root = scratch_folder("training") if folder is None else Path(folder)
    called = name or chosen.family
    fingerprint = digest([chosen.model_dump(mode="json"), wanted.model_dump(mode="json")])
    for seed in numbers:
        train_once(
            dataset,
            chosen,
            side,
            wanted,
            EvaluationOptions(cutoffs=(10,)),
            seed,
            out=_of_seed(root, seed),
            variant=called,
            fingerprint=fingerprint,
            judge_test=False,
        )
    return TrainedModel(called, dataset, chosen, wanted, side, numbers, root)


def recommenders() -> list[dict[str, Any]]:
    """All families, each as a dict with `family`, `name`, `kind`, `paper`, `needs` and `can_take`."""
    from augrec.pipeline.model_list import describe_families

    load_plugins()
    return describe_families()


def _options(model: str | FamilyOptions, options: Mapping[str, Any]) -> FamilyOptions:
    load_plugins()
    given = {"family": model, **options} if isinstance(model, str) else {**model.model_dump(), **options}
    kind = FAMILIES.find(given["family"]).options
    return validated(given, kind, f"train(), model {given['family']!r}", "arguments")


def _training(model: FamilyOptions, given: Mapping[str, Any]) -> TrainingOptions:
    wanted = {"monitor": MONITORS[model.judged], **given}
    training = validated(wanted, TrainingOptions, "train(), training", "arguments")
    return model.training_within(training)


def _matrices(features: Features | None, size: int, argument: str) -> dict[str, FeatureMatrix]:
    if features is None:
        return {}
    require(features, Mapping, argument, "train()", f'give the matrix a name: {argument}={{"text": vectors}}')
    found = {}
    for name, rows in features.items():
        where = f"{argument}[{name!r}]"
        try:
            dense = np.asarray(rows, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise DataError(f"features are no numbers ({error})", where=where, remedy=ROWS) from None
        if dense.ndim != 2 or len(dense) != size:
            raise DataError(f"features of shape {dense.shape}, expected [{size}, d]", where=where, remedy=ROWS)
        if not (finite := np.isfinite(dense).all(axis=1)).all():
            raise DataError(
                "features hold NaN or infinity", where=f"{where}, row {int(np.argmin(finite))}", remedy=ROWS
            )
        found[name] = FeatureMatrix.from_dense(dense, np.flatnonzero(~dense.any(axis=1)))
    return found


def _of_seed(folder: Path, seed: int) -> Path:
    return folder / str(seed)
