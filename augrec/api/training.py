"""A recommender trained over seeds, and what stays of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from augrec.api.scratch import scratch_folder
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import digest
from augrec.artefacts.run_folder import TrainingFolder
from augrec.artefacts.trainings import TrainingResult, read_training
from augrec.pipeline.sections import validated
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


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """One recommender, trained with several seeds and selected on validation; nobody has looked at test.

    Attributes:
        name: what tables and comparisons call it.
        dataset: what it was trained on.
        options: of its family.
        training: how it was trained.
        side: what it was given beside interactions.
        seeds: those that it was trained with; one for a model that draws nothing.
        folder: holds `seed-<n>/` with the parameters, the log and the validation metrics of each.
    """

    name: str
    dataset: Dataset
    options: FamilyOptions
    training: TrainingOptions
    side: SideInformation
    seeds: tuple[int, ...]
    folder: Path

    @cached_property
    def results(self) -> Mapping[int, TrainingResult]:
        """seed -> validation metrics, epochs, seconds, loss terms."""
        return {seed: read_training(TrainingFolder(_of_seed(self.folder, seed))) for seed in self.seeds}

    @property
    def valid(self) -> dict[str, float]:
        """metric -> the mean over seeds on validation."""
        tables = [result.valid for result in self.results.values()]
        return {metric: float(np.mean([table[metric] for table in tables])) for metric in tables[0]}

    def recommender(self, seed: int | None = None) -> Recommender:
        """The model itself, a `torch.nn.Module` that is ready to score; of the first seed unless one is named."""
        folder = self.of_seed(self.seeds[0] if seed is None else seed)
        return restore(folder, self.dataset, self.options, self.side)

    def of_seed(self, seed: int) -> Path:
        """The folder of one training. Raises UsageError where there is none with this seed."""
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
    """Trains a recommender with several seeds, each selected on validation. The test split is sealed meanwhile.

    Args:
        dataset: what it learns from.
        model: a family, see `recommenders()`; or its options.
        seeds: which, or how many (1, 2, ...). A model that draws nothing is computed once.
        item_features, user_features: float32 [n, d] by name, row = contiguous id; a row of zeros is a missing one.
        training: options of `recsys.options.TrainingOptions`, such as `{"epochs": 50, "lr": 0.01}`; the metric that
            selects is ndcg@10 (rmse for models that predict ratings) unless it names another `monitor`.
        name: what comparisons call it; the family's unless given.
        folder: where to keep it; without one it is gone with the process.
        options: of the family, such as `dim=64`; `augrec models FAMILY` lists them.

    Raises:
        UsageError: there is no such family or option.
        DataError: there is nothing to select on, or the model needs features that were not given.
    """
    chosen = _options(model, options)
    wanted = _training(chosen, training or {})
    side = SideInformation(user=_matrices(user_features), item=_matrices(item_features))
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
    """The families that can be trained: of each `family`, `name`, `kind`, `paper`, what it `needs` and `can_take`."""
    from augrec.pipeline.model_list import describe_families

    return describe_families()


def _options(model: str | FamilyOptions, options: Mapping[str, Any]) -> FamilyOptions:
    given = {"family": model, **options} if isinstance(model, str) else {**model.model_dump(), **options}
    kind = FAMILIES.find(given["family"]).options
    return validated(given, kind, f"train(), model {given['family']!r}", "arguments")


def _training(model: FamilyOptions, given: Mapping[str, Any]) -> TrainingOptions:
    wanted = {"monitor": MONITORS[model.judged], **given}
    training = validated(wanted, TrainingOptions, "train(), training", "arguments")
    return model.training_within(training)


def _matrices(features: Features | None) -> dict[str, FeatureMatrix]:
    found = {}
    for name, rows in (features or {}).items():
        dense = np.asarray(rows, dtype=np.float32)
        found[name] = FeatureMatrix.from_dense(dense, np.flatnonzero(~dense.any(axis=1)))
    return found


def _of_seed(folder: Path, seed: int) -> Path:
    return folder / str(seed)
