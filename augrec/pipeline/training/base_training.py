"""One training of a run's base recommender: on all training interactions, or without one fold of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from augrec.artefacts.confinement import confined
from augrec.artefacts.files import digest, read_json, remove_file, write_json
from augrec.artefacts.held_out import HeldOut, write_held_out
from augrec.artefacts.neighbours import WHOLE, Neighbours, write_neighbours
from augrec.artefacts.run_folder import RunFolder, TrainingFolder
from recsys.augmentation import SideInformation
from recsys.options import Judged

if TYPE_CHECKING:
    from augrec.pipeline.config.run_config import Config
    from augrec.pipeline.training.base_options import BaseOptions
    from recsys.data.dataset import Dataset
    from recsys.models.base import Recommender
    from recsys.models.options.base import FamilyOptions

FOLD = "fold"
VECTORS = "vectors"
"""The member of a training whose embeddings say who is similar, where that is another model."""


@dataclass(frozen=True)
class BaseTraining:
    """One of the trainings behind `base/`: of the base model and, where another one says who is similar, of that one.

    Args:
        config: of the run, with a section `base`.
        files: of the run.
        fold: which is left out; `WHOLE` for none.
        fingerprint: of everything that determines the result; None while that cannot be said.
    """

    config: Config
    files: RunFolder
    fold: int
    fingerprint: str | None

    @property
    def group(self) -> str:
        """`fold`, or `whole`."""
        return FOLD if self.fold >= 0 else "whole"

    @property
    def name(self) -> str:
        """As the command line and its folder call it."""
        return f"{FOLD}-{self.fold}" if self.fold >= 0 else "whole"

    @property
    def folder(self) -> TrainingFolder:
        """Where it writes."""
        return TrainingFolder(self.files.base.training(self.name))

    @property
    def options(self) -> BaseOptions:
        """The section `base`."""
        assert self.config.base is not None
        return self.config.base

    @property
    def model(self) -> FamilyOptions:
        """The base model's options."""
        return self.config.models[self.options.model]

    def finished(self) -> bool:
        """Whether all that it makes is there, and made of this very config."""
        files = [self.folder.metrics, self.folder.model, self.files.base.neighbours_of(self.name)]
        files += [self.files.base.held_out_of(self.name)] if self.fold >= 0 else []
        if self.fingerprint is None or not all(path.exists() for path in files):
            return False
        written = read_json(self.folder.metrics, remedy="delete this file and run again")
        return bool(written.get("fingerprint") == self.fingerprint)

    def do(self, *, beside_others: bool) -> None:
        """Trains, says who is similar, and scores what the fold holds out.

        Args:
            beside_others: whether other trainings work on this machine; it then keeps to one thread unless the config
                says more.
        """
        from recsys.data.dataset import Dataset

        dataset, base = Dataset.load(self.files.dataset, test=False), self.files.base
        folds = assigned_folds(dataset, self.model.judged, self.options.folds, self.config.seed)
        held = folds == self.fold if self.fold >= 0 else np.zeros(len(folds), dtype=np.bool_)
        seen = dataset.without(held)
        with confined(self.files.root):
            for path in (base.held_out_of(self.name), base.neighbours_of(self.name)):
                remove_file(path)
            pairs = seen.train.astype("<i4").tobytes()  # user and item of each, sorted
            about = {"interactions": len(seen.train), "sha256": hashlib.sha256(pairs).hexdigest()}
            write_json(base.trained_on(self.name), about)
            recommender = self._trained(seen, self.model, self.folder, beside_others=beside_others)
            write_neighbours(
                base.neighbours_of(self.name), {self.fold: self._neighbours(seen, recommender, beside_others)}
            )
            if self.fold >= 0:
                write_held_out(base.held_out_of(self.name), self._scored(dataset, held, recommender))

    def restored(self, dataset: Dataset) -> Recommender:
        """The base model that was trained on everything, on the CPU."""
        from recsys.training.restore import restore

        return restore(self.folder.root, dataset, self.model, SideInformation())

    def _trained(
        self, seen: Dataset, model: FamilyOptions, folder: TrainingFolder, *, beside_others: bool
    ) -> Recommender:
        """A model trained on `seen`, on the CPU."""
        from recsys.training.restore import restore
        from recsys.training.train import train

        assert self.fingerprint is not None
        training = self.config.training.model_copy(update={"keep_checkpoint": True, "noise": 0.0})
        if beside_others and training.threads is None:
            training = training.model_copy(update={"threads": 1})
        train(
            seen,
            model,
            SideInformation(),
            training,
            self.config.evaluation,
            self.config.seed,
            out=folder.root,
            variant=f"base {self.name}",
            fingerprint=self.fingerprint,
            judge_test=False,
        )
        return restore(folder.root, seen, model, SideInformation())

    def _neighbours(self, seen: Dataset, recommender: Recommender, beside_others: bool) -> Neighbours:
        """Who is similar to whom by what was trained on `seen`; nobody to anybody where no model has embeddings."""
        from recsys.evaluation.neighbours import nearest_users

        if self.options.vectors not in (None, self.options.model):
            other, folder = self.config.models[self.options.vectors], self.folder.member(VECTORS)
            recommender = self._trained(seen, other, folder, beside_others=beside_others)
        elif self.model.judged is Judged.RATING:
            return Neighbours.nobody(seen.n_users)
        users, _ = recommender.embeddings("valid")
        return nearest_users(users, np.diff(seen.starts("train")) > 0, self.options.similar)

    def _scored(self, dataset: Dataset, held: np.ndarray, recommender: Recommender) -> HeldOut:
        """What the fold holds out (bool [m]) and items drawn for the same users, scored by a model that saw neither."""
        from recsys.data.folds import drawn_items
        from recsys.evaluation.pair_scores import pair_scores

        own, ratings = dataset.train[held], dataset.ratings("train")
        rated = np.full(len(own), np.nan, dtype=np.float32) if ratings is None else ratings[held]
        users, count = np.unique(own[:, 0]), self.options.negatives
        drawn = drawn_items(dataset, users, count, self.config.seed, self.fold)
        pairs = np.concatenate([own, drawn])
        rows = HeldOut(
            user=pairs[:, 0],
            item=pairs[:, 1],
            fold=np.full(len(pairs), self.fold),
            drawn=np.arange(len(pairs)) >= len(own),
            rating=np.concatenate([rated, np.full(len(drawn), np.nan, dtype=np.float32)]),
            score=pair_scores(recommender, self.model.judged, pairs, dataset.n_items),
        )
        return HeldOut.joined([rows])


def assigned_folds(dataset: Dataset, judged: Judged, count: int, seed: int) -> np.ndarray:
    """int64 [m], aligned with `dataset.train`: in which fold each interaction is held out, -1 in none."""
    from recsys.data.folds import interaction_folds, last_item_folds

    folds = last_item_folds if judged is Judged.NEXT_ITEM else interaction_folds
    return folds(dataset, count, seed)


def base_trainings(config: Config, files: RunFolder, fingerprint: str | None) -> list[BaseTraining]:
    """All trainings of a run's base recommender.

    Args:
        config: of the run, with a section `base`.
        files: of the run.
        fingerprint: of everything that they are made from; None while that cannot be said.
    """
    assert config.base is not None
    return [
        BaseTraining(config, files, fold, fingerprint and digest([fingerprint, fold]))
        for fold in (WHOLE, *range(config.base.folds))
    ]
