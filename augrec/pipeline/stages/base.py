"""What a stage is, and its completion marker."""

from __future__ import annotations

import platform
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from augrec.artefacts.confinement import check_inside
from augrec.artefacts.cores import usable_cores
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, read_json, sha256_file, write_json
from augrec.artefacts.processor import processor_name
from augrec.pipeline.code_identity import code_identity
from augrec.pipeline.config import Config
from augrec.pipeline.host.stopping import Stopper

FOLDERS = {
    "prepare": "dataset",
    "candidates": "candidates",
    "augment": "augment",
    "embed": "embed",
    "train": "train",
    "report": "report",
}
"""Where each stage writes inside the run folder."""


@dataclass(frozen=True)
class Run:
    """One run: its configuration and its folder."""

    config: Config
    download: bool = False
    """Whether the user allowed fetching a data set from its publisher."""
    workers: int | None = None
    """Processes that answer shards, and trainings, beside each other; None leaves it to the config."""
    stop: Stopper = field(default_factory=Stopper, compare=False, repr=False)
    """Whether this process was asked to stop."""
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.config.folder)


@dataclass(frozen=True)
class Marker:
    """`<stage>/stage.json`: written last, it says that a stage is complete and what it was made from."""

    fingerprint: str
    identity: dict[str, Any]
    outputs: dict[str, str]
    """Output files relative to the run folder, each with its sha256."""
    details: dict[str, Any]

    @property
    def content(self) -> str:
        """One hash over all outputs: what a later stage depends on."""
        return digest(self.outputs)


class Stage(ABC):
    """One step of the pipeline: inputs, a config section, outputs and `run`.

    A finished stage is skipped while its fingerprint (outputs of the stages before it, relevant config, identity of
    models and data files, code) is unchanged.
    """

    name: ClassVar[str]
    after: ClassVar[tuple[str, ...]] = ()
    """Names of the stages whose outputs this one reads."""

    def folder(self, run: Run) -> Path:
        """Where the stage writes."""
        return run.folder / FOLDERS[self.name]

    @abstractmethod
    def section(self, run: Run) -> dict[str, Any]:
        """The configuration and the identities of outside files that determine the outputs, as JSON values."""

    def code(self, run: Run) -> tuple[str, ...]:
        """The modules whose code, with all that it imports, determines the outputs: the stage's own, and the entries of
        registries that this run uses."""
        return (type(self).__module__,)

    @abstractmethod
    def run(self, run: Run) -> dict[str, Any]:
        """Does the work; returns details for the marker. Can be killed and called again at any moment."""

    @abstractmethod
    def outputs(self, run: Run) -> Iterable[Path]:
        """The files a later stage may read."""

    def check_folder(self, run: Run) -> None:
        """Raises where the folder holds something that this stage must not replace without being told to."""
        return

    def check_details(self, run: Run, details: dict[str, Any]) -> None:
        """Raises where the stage is done and nothing can be made of its result."""
        return

    def output_hash(self, path: Path) -> str:
        """The sha256 of an output's content, as later stages depend on it."""
        return sha256_file(path)

    def summary(self, details: dict[str, Any]) -> str:
        """One line for a person, from the details of the marker."""
        return ", ".join(f"{value} {key}" for key, value in details.items())

    def notes(self, details: dict[str, Any]) -> list[str]:
        """What a person should know of what was done, one short line each, from the details of the marker."""
        return []

    def identity(self, run: Run) -> dict[str, Any]:
        """Everything the fingerprint is made of."""
        inputs = {name: require_marker(run, name).content for name in self.after}
        return {
            "stage": self.name,
            "code": code_identity(self.code(run)),
            "section": self.section(run),
            "inputs": inputs,
        }

    def marker(self, run: Run) -> Marker | None:
        """The marker of the last completed run of this stage, or None."""
        return read_marker(self.folder(run))

    def parts(self, run: Run) -> list[Path] | None:
        """The folders that hold what this config names, where others may lie beside them; None for the whole folder."""
        return None

    def clear(self, run: Run) -> None:
        """Forgets what this stage wrote for this config (`--force`); what the config does not name stays."""
        folder, parts = self.folder(run), self.parts(run)
        check_inside(folder / "stage.json")
        (folder / "stage.json").unlink(missing_ok=True)
        for part in [folder] if parts is None else parts:
            check_inside(part / "stage.json")
            shutil.rmtree(part, ignore_errors=True)

    def complete(self, run: Run, identity: dict[str, Any], details: dict[str, Any], seconds: float) -> Marker:
        """Writes the completion marker."""
        outputs = {path.relative_to(run.folder).as_posix(): self.output_hash(path) for path in self.outputs(run)}
        marker = Marker(digest(identity), identity, outputs, details)
        write_json(
            self.folder(run) / "stage.json",
            {
                "stage": self.name,
                "fingerprint": marker.fingerprint,
                "identity": identity,
                "outputs": outputs,
                "details": details,
                "version": version("augrec"),
                "seconds": round(seconds, 2),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": _machine(),
            },
        )
        return marker


def _machine() -> str:
    """The processor, its usable cores, and the Python that ran."""
    return f"{processor_name()}, {usable_cores()} cores, {platform.system()}, Python {platform.python_version()}"


def read_marker(folder: Path) -> Marker | None:
    """Reads a folder's `stage.json`; None when there is none."""
    path = folder / "stage.json"
    if not path.exists():
        return None
    stored = read_json(path, remedy="delete this file; the stage will run again")
    try:
        return Marker(stored["fingerprint"], stored["identity"], stored["outputs"], stored["details"])
    except (KeyError, TypeError):
        raise DataError(
            "the completion marker lacks its fields", where=path, remedy="delete this file; the stage will run again"
        ) from None


def require_marker(run: Run, name: str) -> Marker:
    """The marker of a stage that must have finished before."""
    folder = run.folder / FOLDERS[name]
    marker = read_marker(folder)
    if marker is None:
        raise DataError(
            f"the stage '{name}' has not finished in this run",
            where=folder,
            remedy=f"run `augrec {name} CONFIG` first, or the whole chain with `augrec run CONFIG`",
        )
    return marker


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._started
