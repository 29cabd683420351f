"""A finished run, read back from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from augrec.api.judging import Evaluated
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.names import did_you_mean
from augrec.artefacts.records import Records, read_records
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.trainings import read_per_user, read_training
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.stages.saved_run import read_run
from recsys.data.dataset import Dataset
from recsys.evaluation.result import Evaluation


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """The content of a run folder; each part is read when it is first used.

    Attributes:
        folder: the run folder.
        config: the config of the run, with all defaults filled in.
    """

    folder: Path
    config: Config

    def __repr__(self) -> str:
        return f"<run {self.config.name} in {self.folder}: {', '.join(self.config.variants)}>"

    @property
    def files(self) -> RunFolder:
        """The paths of its files."""
        return RunFolder(self.folder)

    @cached_property
    def dataset(self) -> Dataset:
        """The prepared data."""
        return Dataset.load(self.files.dataset)

    @property
    def answers(self) -> list[tuple[str, str]]:
        """(source, task) of all records in the folder."""
        return [(source.name, task.name) for source in self.files.sources() for task in source.tasks()]

    def records(self, source: str, task: str) -> Records:
        """The answers of a source to a task; `records.table` is an Arrow table, and iterating yields one record each.

        Raises:
            UsageError: there are no such records.
        """
        if (source, task) not in self.answers:
            there = [f"{one}/{other}" for one, other in self.answers]
            raise UsageError(f"the run has no records {source}/{task}{did_you_mean(f'{source}/{task}', there)}",
                             where=self.files.augment, remedy=f"one of {', '.join(there) or 'none'}")  # fmt: skip
        return read_records(self.files.source(source).task(task).records)

    @cached_property
    def results(self) -> Mapping[str, Any]:
        """The numbers of the report: `report/results.json`."""
        read: Mapping[str, Any] = read_json(self.files.results, remedy="run the stage `report` first")
        return read

    def metrics(self) -> pa.Table:
        """A table with the columns variant, seed, split, metric and value, of all finished trainings."""
        rows = [
            {"variant": result.variant, "seed": result.seed, "split": split, "metric": metric, "value": value}
            for folder in self.files.trainings()
            if folder.metrics.exists()
            for result in [read_training(folder)]
            for split, means in (("valid", result.valid), ("test", result.test))
            for metric, value in means.items()
        ]
        return pa.Table.from_pylist(rows) if rows else pa.table({})

    def evaluated(self, variant: str) -> Evaluated:
        """The test metrics of a variant, for `compare`.

        Raises:
            UsageError: there is no such variant.
            DataError: none of its trainings has finished.
        """
        if variant not in self.config.variants:
            raise UsageError(f"the run has no variant '{variant}'{did_you_mean(variant, self.config.variants)}",
                             where=self.folder, remedy=f"one of {', '.join(self.config.variants)}")  # fmt: skip
        seeds = [seed for seed in self.files.seeds(variant) if self.files.training(variant, seed).metrics.exists()]
        if not seeds:
            raise DataError(f"no training of {variant} has finished", where=self.files.train / variant)
        found, fixed = {}, True
        for seed in seeds:
            result = read_training(self.files.training(variant, seed))
            values = read_per_user(self.files.training(variant, seed)).values
            found[seed] = Evaluation(dict(values), dict(result.test), int(result.details.get("n_test_users", 0)))
            fixed = fixed and result.deterministic
        return Evaluated(variant, "test", found, fixed)


def load_run(folder: Path | str) -> LoadedRun:
    """Opens a finished run by its folder, e.g. `runs/demo`.

    Raises:
        UsageError: the folder is not a run folder.
        DataError: the run was written by a version with another layout.
    """
    path = Path(folder)
    return LoadedRun(path, read_run(path).config)
