"""What a finished training wrote: `metrics.json` and `per_user.parquet`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow.parquet import read_schema

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, read_parquet, readable_parquet
from augrec.artefacts.run_folder import TrainingFolder

TRAIN_AGAIN = "run the train stage again: finished seeds are skipped, and what is damaged is trained anew"
READ_AT_ONCE = 10_000
"""Users of whom a training's metrics are all read together."""


@dataclass(frozen=True)
class TrainingResult:
    """`metrics.json`. `valid` and `test` are means over users by metric, NaN where no user has a value."""

    folder: TrainingFolder
    variant: str
    model: str
    """The family."""
    seed: int
    fingerprint: str
    valid: Mapping[str, float]
    test: Mapping[str, float]
    deterministic: bool
    """Whether nothing in it was drawn: every seed gives the same."""
    details: Mapping[str, Any]
    """Everything in the file: epochs, history, seconds, memory, device, counts of users."""

    def require(self, metrics: Iterable[str]) -> None:
        """Raises DataError where the test split was not evaluated with one of the metrics."""
        missing = [metric for metric in metrics if metric not in self.test]
        if missing:
            raise DataError(
                f"variant {self.variant!r} was not evaluated with {', '.join(missing)}",
                where=self.folder.metrics,
                remedy=f"add the cutoff to the evaluation, or choose from: {', '.join(self.test)}",
            )


@dataclass(frozen=True, eq=False)
class PerUser:
    """`per_user.parquet`: a value of every metric for every user; NaN where a user has nothing to be judged by."""

    users: np.ndarray
    """int64 [n], increasing."""
    values: Mapping[str, np.ndarray]
    """metric -> float64 [n]."""


def read_training(folder: TrainingFolder, remedy: str = TRAIN_AGAIN) -> TrainingResult:
    """The result of a training.

    Raises:
        DataError: it has not finished, or the file says something else.
    """
    path = folder.metrics
    if not path.exists():
        raise DataError("this training has not finished", where=path, remedy=remedy)
    content = read_json(path, remedy=remedy)
    try:
        return TrainingResult(
            folder=folder,
            variant=str(content["variant"]),
            model=str(content["model"]),
            seed=int(content["seed"]),
            fingerprint=str(content["fingerprint"]),
            valid=_means(content["valid"]),
            test=_means(content["test"]),
            deterministic=content["deterministic"] is True,
            details=content,
        )
    except KeyError as error:
        raise DataError(f"the file holds no {error.args[0]!r}", where=path, remedy=remedy) from None
    except (TypeError, ValueError, AttributeError):
        raise DataError("the file does not hold what a training writes", where=path, remedy=remedy) from None


def read_per_user(folder: TrainingFolder) -> PerUser:
    """The per-user values of a training, sorted by user. The values of a metric are read when they are asked for.

    Raises:
        DataError: the file is missing or damaged, a user occurs twice, or values are not numbers; of damaged values
            when they are asked for.
    """
    path = folder.per_user
    if not path.exists():
        what = "this training has no per-user metrics, so nothing can be tested"
        raise DataError(what, where=path, remedy=TRAIN_AGAIN)
    table = read_parquet(path, columns=["user"], remedy=TRAIN_AGAIN)
    if "user" not in table.column_names:
        raise DataError("the column 'user' is missing", where=path, remedy=TRAIN_AGAIN)
    users = table["user"].to_numpy().astype(np.int64)
    order = None
    if (users[1:] <= users[:-1]).any():
        order = np.argsort(users, kind="stable")
        users = users[order]
        if (users[1:] == users[:-1]).any():
            raise DataError("a user occurs twice", where=path, remedy=TRAIN_AGAIN)
    return PerUser(users, StoredValues(path, order))


class StoredValues(Mapping[str, np.ndarray]):
    """metric -> float64 [n] of a file: of few users all of it is read and kept, of many a metric at a time.

    What goes through many trainings, metric after metric, so reads each value once and holds one metric of them.
    """

    def __init__(self, path: Path, order: np.ndarray | None) -> None:
        self._path, self._order = path, order
        with readable_parquet(path, remedy=TRAIN_AGAIN):
            schema = read_schema(path)
        self._names = [name for name in schema.names if name != "user"]
        if not all(
            pa.types.is_floating(kind) or pa.types.is_integer(kind)
            for kind in (schema.field(name).type for name in self._names)
        ):
            raise DataError("a metric's values are not numbers", where=path, remedy=TRAIN_AGAIN)
        self._kept: dict[str, np.ndarray] = {}

    def __getitem__(self, metric: str) -> np.ndarray:
        if metric not in self._kept:
            if metric not in self._names:
                raise KeyError(metric)
            self._kept = self._read([metric])
            if len(self._kept[metric]) <= READ_AT_ONCE:
                self._kept |= self._read([name for name in self._names if name != metric])
        return self._kept[metric]

    def _read(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        table = read_parquet(self._path, columns=names, remedy=TRAIN_AGAIN)
        found = {name: table[name].to_numpy().astype(np.float64, copy=False) for name in names}
        return found if self._order is None else {name: values[self._order] for name, values in found.items()}

    def __contains__(self, metric: object) -> bool:  # a Mapping's own would read the values
        return metric in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def stored_means(values: Mapping[str, float]) -> dict[str, float | None]:
    """Means of metrics as `metrics.json` holds them: null for what is no number, which JSON has no word for."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _means(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in values.items()}
