"""Trackers of experiments: what `report_to` names is told of every training that is finished, through its own library.

Each training is one run of the tracker: the resolved config, the loss and the metrics of validation by epoch, and the
metrics of the epoch that was chosen, on validation and on test. A training is recorded once per tracker, from
`metrics.json`, so that one that was done by another process, or before the tracker was named, is recorded too. What a
tracker refuses stops no training: it is said, and tried again by the next command.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from augrec.artefacts.confinement import check_inside
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import digest, read_json, write_json
from augrec.artefacts.progress import say
from augrec.artefacts.registry import Registry
from augrec.artefacts.run_folder import RunFolder, TrainingFolder
from augrec.artefacts.trainings import read_training
from augrec.artefacts.versions import installed_version
from augrec.artefacts.visible import one_line

TrackerName = Literal["mlflow", "tensorboard", "wandb"]
OFFLINE = {"WANDB_MODE": "offline"}
"""Nothing leaves the machine unless the user says so in the environment."""
UNSAID = {
    "mlflow": {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    },
    "wandb": {"WANDB_ERROR_REPORTING": "false"},
}
"""Variables that a library reads, where the user sets none of them: it tells its makers nothing, prints no address of
every training, and a server that is away holds the run up for seconds (MLflow asks again for minutes, and trainings
wait)."""


@dataclass(frozen=True)
class Recorded:
    """A finished training as a tracker is told of it."""

    run: str
    """The name of the run that it belongs to."""
    name: str
    """For example llmrec/seed-1."""
    config: Mapping[str, str | int | float | bool]
    """The config's values by dotted key, and `variant`, `model`, `seed`, `best_epoch`."""
    epochs: tuple[tuple[int, Mapping[str, float]], ...]
    """Epoch -> `loss`, `terms/<term>`, `valid/<metric>`; of models in closed form none."""
    final: Mapping[str, float]
    """`valid/<metric>` and `test/<metric>` of the epoch that was chosen, `seconds`."""


class Tracker(Protocol):
    """Where trainings are recorded."""

    def record(self, training: Recorded) -> None:
        """Records a training, whole."""


@dataclass(frozen=True)
class TrackerKind:
    """A tracker that a config may name."""

    name: str
    package: str
    """The distribution that it needs."""
    open: type[Any]
    """Called with the run folder's files, it makes a `Tracker`; it imports the library."""
    packages: tuple[str, ...] = field(default=())
    """Distributions that do as well."""

    @property
    def missing(self) -> bool:
        """Whether its library is not installed."""
        return all(installed_version(name) is None for name in (self.package, *self.packages))


class TensorBoard:
    """Event files in the run folder, `tensorboard/<variant>/seed-<n>/`, by torch's writer."""

    def __init__(self, files: RunFolder) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._files, self._writer = files, SummaryWriter

    def record(self, training: Recorded) -> None:
        """See `Tracker`; an earlier record of the same training is replaced."""
        folder = self._files.tensorboard / training.name
        check_inside(folder)
        shutil.rmtree(folder, ignore_errors=True)
        with self._writer(log_dir=str(folder)) as writer:
            for epoch, values in training.epochs:
                for name, value in values.items():
                    writer.add_scalar(name, value, epoch)
            for name, value in training.final.items():
                writer.add_scalar(f"final/{name}", value, 0)
            lines = "\n".join(f"    {key}: {value}" for key, value in training.config.items())
            writer.add_text("config", lines, 0)


class Mlflow:
    """Runs of MLflow, in the experiment of the run's name, where `MLFLOW_TRACKING_URI` says."""

    def __init__(self, files: RunFolder) -> None:
        _set_unsaid("mlflow")
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table that it creates
        self._mlflow = mlflow

    def record(self, training: Recorded) -> None:
        """See `Tracker`."""
        self._mlflow.set_experiment(training.run)
        with self._mlflow.start_run(run_name=training.name):
            self._mlflow.log_params({key: str(value)[:500] for key, value in training.config.items()})
            for epoch, values in training.epochs:
                self._mlflow.log_metrics(_without_at(values), step=epoch)
            self._mlflow.log_metrics({f"final/{name}": value for name, value in _without_at(training.final).items()})


class WeightsAndBiases:
    """Runs of Weights & Biases, in the project of the run's name; offline unless `WANDB_MODE` says otherwise."""

    def __init__(self, files: RunFolder) -> None:
        _set_unsaid("wandb")
        import wandb

        self._wandb, self._files = wandb, files

    def record(self, training: Recorded) -> None:
        """See `Tracker`."""
        mode: Any = os.environ.get("WANDB_MODE", OFFLINE["WANDB_MODE"])
        place, config = str(self._files.root), dict(training.config)
        silent = self._wandb.Settings(silent=True, console="off")
        run = self._wandb.init(
            project=training.run, name=training.name, config=config, dir=place, mode=mode, settings=silent
        )
        try:
            for epoch, values in training.epochs:
                run.log(dict(values), step=epoch)
            run.summary.update({f"final/{name}": value for name, value in training.final.items()})
        finally:
            run.finish()


def _set_unsaid(name: str) -> None:
    """Before the library is imported: it looks then."""
    for variable, value in UNSAID[name].items():
        os.environ.setdefault(variable, value)


TRACKERS: Registry[TrackerKind] = Registry("tracker")
TRACKERS.register(TrackerKind("mlflow", "mlflow", Mlflow, ("mlflow-skinny",)))
TRACKERS.register(TrackerKind("tensorboard", "tensorboard", TensorBoard))
TRACKERS.register(TrackerKind("wandb", "wandb", WeightsAndBiases))


def record_trainings(
    names: Iterable[str], run: str, files: RunFolder, config: Mapping[str, Any], trainings: Iterable[TrainingFolder]
) -> None:
    """Tells trackers of finished trainings that they have not been told of; what they refuse is said, and no error.

    Args:
        names: of the trackers.
        run: the run's name.
        files: the run folder.
        config: the resolved config.
        trainings: their folders.
    """
    waiting = {name: list(_unrecorded(name, files, trainings)) for name in names}
    for name, folders in waiting.items():
        if not folders:
            continue
        try:
            tracker: Tracker = TRACKERS.find(name).open(files)
            for folder in folders:
                tracker.record(_recorded(run, files, config, folder))
                _note(name, files, folder)
        except AugrecError:
            raise
        except Exception as error:  # a tracker's library may raise anything
            reason = one_line(f"{type(error).__name__}: {error}", 300)
            say(f"{name}: not recorded ({reason}); the same command tries again")


def _unrecorded(name: str, files: RunFolder, trainings: Iterable[TrainingFolder]) -> Iterator[TrainingFolder]:
    for folder in trainings:
        if _told(folder).get(name) != _identity(files, folder):
            yield folder


def _told(folder: TrainingFolder) -> dict[str, Any]:
    """Tracker -> the training that it was told of."""
    if not folder.tracked.exists():
        return {}
    found = read_json(folder.tracked, remedy="delete this file; the training is recorded again")
    return found if isinstance(found, dict) else {}


def _note(name: str, files: RunFolder, folder: TrainingFolder) -> None:
    write_json(folder.tracked, {**_told(folder), name: _identity(files, folder)})


def _identity(files: RunFolder, folder: TrainingFolder) -> str:
    """A copy of a training in another run is another one there."""
    return digest([read_training(folder).fingerprint, str(files.root.resolve())])


def _recorded(run: str, files: RunFolder, config: Mapping[str, Any], folder: TrainingFolder) -> Recorded:
    found = read_training(folder)
    details = found.details
    about: dict[str, Any] = {"variant": found.variant, "model": found.model, "seed": found.seed}
    if "best_epoch" in details:
        about["best_epoch"] = details["best_epoch"]
    final = {f"valid/{name}": value for name, value in found.valid.items()}
    final |= {f"test/{name}": value for name, value in found.test.items()}
    if isinstance(details.get("seconds"), int | float):
        final["seconds"] = float(details["seconds"])
    return Recorded(
        run,
        folder.root.relative_to(files.train).as_posix(),
        {**dict(_flat(config)), **about},
        tuple((int(epoch["epoch"]), _finite(_of_epoch(epoch))) for epoch in details.get("history") or ()),
        _finite(final),
    )


def _of_epoch(epoch: Mapping[str, Any]) -> dict[str, Any]:
    terms = {f"terms/{name}": value for name, value in (epoch.get("terms") or {}).items()}
    valid = {f"valid/{name}": value for name, value in (epoch.get("valid") or {}).items()}
    return {"loss": epoch.get("loss"), **terms, **valid}


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    """What is a number: a metric that no user has a value of is none."""
    numbers = ((name, value) for name, value in values.items() if isinstance(value, int | float))
    return {name: float(value) for name, value in numbers if math.isfinite(value)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    """The leaves by dotted key; lists as text, and what is null left out."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value if isinstance(value, str | int | float | bool) else str(value)


def _without_at(values: Mapping[str, float]) -> dict[str, float]:
    """MLflow admits no "@" in the name of a metric."""
    return {name.replace("@", "_at_"): value for name, value in values.items()}
