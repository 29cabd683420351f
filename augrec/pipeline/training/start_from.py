"""What a variant's trainings start from: the embeddings of another run's trainings.

The place is named in the config; what counts for a fingerprint is the content of the files there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.files import digest, sha256_file
from augrec.artefacts.interactions import read_interactions
from augrec.artefacts.names import Name, suggestion
from augrec.artefacts.options import Options
from augrec.artefacts.run_folder import DatasetFolder, RunFolder, TrainingFolder
from augrec.artefacts.side_tables import read_source_ids
from augrec.artefacts.trainings import read_training

if TYPE_CHECKING:
    from recsys.data.dataset import Dataset
    from recsys.training.start import Start


class StartFrom(Options):
    """Another run's training whose embeddings of users and items a training begins with."""

    run: Path
    """Its run folder; the run has finished its trainings, with `training.keep_checkpoint` on."""
    variant: Name
    """The variant there."""
    seed: int | None = None
    """The seed there; unless given, each training starts from the one with its own seed."""


@dataclass(frozen=True)
class Origin:
    """A finished training to start from."""

    run: RunFolder
    training: TrainingFolder

    @classmethod
    def of(cls, options: StartFrom, seed: int, own: Path) -> Origin:
        """The training that the one with a seed starts from.

        Args:
            options: of the variant.
            seed: of the training that begins.
            own: its run folder.

        Raises:
            UsageError: it is to start from its own run.
            DataError: there is no such run, variant or seed, it has not finished, or it kept no model.
        """
        run = RunFolder(options.run)
        if run.root.resolve() == own.resolve():
            raise UsageError(
                "a variant starts from another run; within one, nobody says which training comes first",
                where=f"start_from.run: {options.run}",
                remedy="train the one to start from in a run of its own",
            )
        run_first = "run its config first, with training.keep_checkpoint on"
        if not run.dataset_json.exists():
            raise DataError("the run to start from is not there", where=run.root, remedy=run_first)
        run.check_layout()
        seeds = run.seeds(options.variant)
        wanted = seed if options.seed is None else options.seed
        if wanted not in seeds:
            there = sorted({training.root.parent.name for training in run.trainings()})
            if not seeds:
                what = f"the run to start from has no variant '{options.variant}'"
                remedy = f"{suggestion(options.variant, there)}it has: {', '.join(there)}" if there else run_first
            else:
                what = f"variant '{options.variant}' of the run to start from was not trained with seed {wanted}"
                remedy = f"train it with this seed, or name one of its own in start_from.seed: {_listed(seeds)}"
            raise DataError(what, where=run.root, remedy=remedy)
        training = run.training(options.variant, wanted)
        read_training(training, remedy=run_first)
        if not training.model.exists():
            raise DataError("the training to start from kept no model", where=training.root, remedy=run_first)
        return cls(run, training)

    @property
    def content(self) -> str:
        """A hash of what is taken from there, wherever it lies."""
        dataset = DatasetFolder(self.run.dataset)
        return digest([sha256_file(path) for path in (self.training.model, dataset.users, dataset.items)])

    def read(self, dataset: Dataset) -> Start:
        """The embeddings of a data set's users and items, as far as the training knows them.

        Raises:
            DataError: the training saw interactions that are held out here, or see `recsys.training.start.read_start`.
        """
        from recsys.training.start import read_start

        files = DatasetFolder(self.run.dataset)
        theirs = [read_source_ids(files.users, "user"), read_source_ids(files.items, "item")]
        ours = [[str(name) for name in table["source_id"].to_pylist()] for table in (dataset.users, dataset.items)]
        seen = self._held_out_and_seen(dataset, theirs, ours)
        if seen:
            raise DataError(
                f"{seen:,} interactions that are held out here were training interactions there: what is learned from "
                "them is no prediction",
                where=self.run.root,
                remedy="start from a run over other interactions, e.g. of an earlier dataset.period, which ends where "
                "this one begins",
            )
        return read_start(self.training.model, theirs, ours)

    def _held_out_and_seen(self, dataset: Dataset, theirs: list[list[str]], ours: list[list[str]]) -> int:
        """How many of the pairs that are held out in `dataset`, as far as it may be read, the other was trained on."""
        users, items = ({name: row for row, name in enumerate(names)} for names in theirs)
        there = read_interactions(self.run.interactions, len(users), len(items), splits=("train",)).pairs
        trained = set(map(tuple, there.tolist()))
        held_out = np.concatenate([dataset.pairs(split) for split in dataset.splits[1:]]).tolist()
        return sum((users.get(ours[0][user]), items.get(ours[1][item])) in trained for user, item in held_out)


def start_content(options: StartFrom, seed: int, own: Path) -> str | None:
    """`Origin.content` of what a training starts from; None where it is not there, which the training will say."""
    try:
        return Origin.of(options, seed, own).content
    except AugrecError:
        return None


def _listed(seeds: list[int]) -> str:
    return ", ".join(map(str, seeds))
