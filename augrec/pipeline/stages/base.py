"""The base class of stages: what a stage declares, its pieces, and its completion marker.

A stage says what it makes, what it reads, and which pieces of its work may run at the same time. It does not know who
runs them: executors decide where a piece runs, in which order and how often (`augrec.pipeline.executors`).
"""

from __future__ import annotations

import platform
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from augrec.artefacts.confinement import check_inside
from augrec.artefacts.cores import usable_cores
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, read_json, remove_file, sha256_file, write_json
from augrec.artefacts.processor import processor_name
from augrec.artefacts.run_folder import MARKER, RunFolder
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.host.stopping import Stopper
from augrec.pipeline.identity.code_identity import code_identity
from augrec.pipeline.stages import registry
from augrec.pipeline.stages.selection import ByName, Selection

if TYPE_CHECKING:
    from augrec.pipeline.config.run_config import Config

CORE = "core"
"""The Python environment that augrec itself is installed in."""


@dataclass(frozen=True)
class Run:
    """One run: its configuration and its folder."""

    config: Config
    download: bool = False
    """Whether the user allowed the data set to be downloaded from its publisher."""
    beside: int = 1
    """How many processes work on this run on this machine at the same time, this one included."""
    stop: Stopper = field(default_factory=Stopper, compare=False, repr=False)
    """Whether this process was asked to stop."""
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.config.folder)

    @property
    def files(self) -> RunFolder:
        """What lies where in the run folder."""
        return RunFolder(self.folder)


@dataclass(frozen=True)
class Piece:
    """A part of a stage's work. The pieces of one wave may run at the same time."""

    stage: str
    group: str
    """The source, the group of matrices or the variant: pieces of one group need the same kind of worker."""
    number: int
    """Its number within the group: the shard or the seed; 0 if the group has one piece."""
    name: str
    """Its name on the command line and in messages."""
    attempts: Attempts
    """The attempts at it so far. Its fingerprint is None while the stages before are not finished, because what the
    piece is made from is not known yet."""
    wave: int = 0
    """The pieces of a wave start when those of all earlier waves are done."""

    @property
    def lock(self) -> Path:
        """The file to lock while working on it."""
        return self.attempts.path.with_suffix(".lock")

    def done(self) -> bool:
        """Whether it has a result."""
        return self.attempts.fingerprint is not None and self.attempts.state().outcome == "done"


class Worker(ABC):
    """Does pieces of one group one after the other. What is slow to start (an engine, a model) is started once."""

    @abstractmethod
    def do(self, piece: Piece) -> int:
        """Does a piece and returns how many things it made (answers, matrices). May be killed at any moment."""

    def progress(self) -> int:
        """How much of the current piece is stored: an attempt that was stopped after some progress has not failed."""
        return 1


@dataclass(frozen=True)
class Resources:
    """What a stage's pieces need, as far as the stage knows; the profile of a cluster says the rest."""

    costly_start: bool = False
    """Whether a worker is slow to start, so that one process should get all its pieces of a group at once."""
    array: str = ""
    """The name of the array of jobs that does the pieces; `<stage>-pieces` unless given, and `<stage>-<group>` with
    `array_per_group`."""
    array_per_group: bool = False
    """Whether each group gets its own jobs, because groups need different machines."""
    per_task: str = ""
    """The key of a profile's section by which a user says how many pieces one job does in turn; none: one."""
    per_task_default: int = 1
    per_task_help: str = ""
    same_size: bool = False
    """Whether pieces that need no GPU are otherwise as large as the others, and get the same cores, memory and time."""
    merge: tuple[str, ...] | None = ()
    """The options of the command that finishes the stage after its pieces, in a job of its own; None where that costs
    nothing and is left to the job after it."""
    merge_job: str = ""
    """The name of that job; the stage's own name unless given."""


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
    """One step of the pipeline. The command line, the plan of a cluster, the docs and the report are made from this.

    A finished stage is skipped while its fingerprint (outputs of the stages before it, relevant config, identity of
    models and data files, code) is unchanged.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    """One line for `augrec --help`."""
    after: ClassVar[tuple[str, ...]] = ()
    """Names of the stages whose outputs this one reads; those that are not in a run's chain do not count."""
    last: ClassVar[bool] = False
    """Whether it reads the outputs of all other stages and runs after them."""
    folder_name: ClassVar[str] = ""
    """Where it writes inside the run folder; its name unless given."""
    section_name: ClassVar[str | None] = None
    """A section of the config without which the stage is not in the chain; None for a stage of every run."""
    per_variant: ClassVar[bool] = False
    """Whether its outputs depend on the variants; those of other stages are shared by all runs of a study."""
    environment: ClassVar[str] = CORE
    """The Python environment its jobs run in, as a cluster's profile names it."""
    resources: ClassVar[Resources] = Resources()
    selection: ClassVar[Selection] = ByName("--only", "piece", "Only these pieces; nothing is merged.")
    """How pieces are named on the command line."""
    pieces_name: ClassVar[str] = "pieces"
    """What pieces are called in messages."""

    @property
    def has_pieces(self) -> bool:
        """Whether its work can be shared at all."""
        return type(self).pieces is not Stage.pieces

    def folder(self, run: Run) -> Path:
        """Where the stage writes."""
        return self.folder_in(run.folder)

    def folder_in(self, root: Path) -> Path:
        """Where the stage writes inside a run folder."""
        return root / (self.folder_name or self.name)

    @abstractmethod
    def section(self, run: Run) -> dict[str, Any]:
        """The configuration and the identities of outside files that determine the outputs, as JSON values."""

    def code(self, run: Run) -> tuple[str, ...]:
        """The modules whose code, with all that it imports, determines the outputs: the stage's own, and the entries of
        registries that this run uses."""
        return (type(self).__module__,)

    def pieces(self, run: Run, *, known: bool = True) -> list[Piece]:
        """The parts that may run at the same time; none for a stage that runs in one go.

        Args:
            run: the run.
            known: whether the stages before are finished; otherwise no piece counts as done.
        """
        return []

    def worker(self, run: Run, group: str) -> AbstractContextManager[Worker]:
        """A context manager: the worker does pieces of a group while the context is open."""
        raise NotImplementedError(f"the stage '{self.name}' has no pieces")

    def gpus(self, run: Run, group: str) -> int | None:
        """GPUs that a worker of the group needs; 0 where it needs no machine like the others', None leaves it open.

        A stage without pieces is asked with "" for a group.
        """
        return None

    def processes(self, run: Run, wanted: int | None) -> int:
        """How many processes on this machine do pieces; with 0 `finish` does them all, in the current process.

        Args:
            run: the run.
            wanted: what the user asked for; None if nothing.
        """
        return wanted if wanted is not None and wanted > 1 else 0

    def log_of(self, piece: Piece) -> Path | None:
        """The log of a training, to which each epoch adds a line; None for other work."""
        return None

    def finished(self, run: Run, piece: Piece) -> None:
        """Called after a piece has finished, in the process that started the run."""
        return

    def result(self, piece: Piece) -> str:
        """The result of a finished piece in a few words, for the progress display."""
        return "done"

    def open(self, run: Run, group: str) -> str:
        """What the last worker of a group left unfinished, in a few words; "" if nothing is known.

        For a stage without pieces the group is "", and the answer is how far the stage got.
        """
        return ""

    @abstractmethod
    def finish(self, run: Run) -> dict[str, Any]:
        """Does what no worker has done and merges the pieces; returns details for the marker. May be killed anytime."""

    @abstractmethod
    def outputs(self, run: Run) -> Iterable[Path]:
        """The files a later stage may read."""

    def check_folder(self, run: Run) -> None:
        """Raises if the folder holds something that this stage must not replace unless forced to."""
        return

    def check_details(self, run: Run, details: dict[str, Any]) -> None:
        """Raises if the stage is done and its result cannot be used."""
        return

    def output_hash(self, path: Path) -> str:
        """The sha256 of an output's content, as later stages depend on it."""
        return sha256_file(path)

    def summary(self, details: dict[str, Any]) -> str:
        """One line for a person, from the details of the marker."""
        return ", ".join(f"{value} {key}" for key, value in details.items())

    def notes(self, details: dict[str, Any]) -> list[str]:
        """What the user should know about the result, one short line each, from the details of the marker."""
        return []

    def identity(self, run: Run) -> dict[str, Any]:
        """Everything the fingerprint is made of."""
        before = registry.stages_before(self, run.config)
        read = [stage.name for stage in before if self.last or stage.name in self.after]
        inputs = {name: require_marker(run, name).content for name in read}
        return {
            "stage": self.name,
            "code": code_identity(self.code(run)),
            "section": self.section(run),
            "inputs": inputs,
        }

    def marker(self, run: Run) -> Marker | None:
        """The marker of the last completed run of this stage, or None."""
        return read_marker(self.folder(run))

    def damaged(self, run: Run, marker: Marker) -> list[str]:
        """Tables and JSON that are gone or no longer what the stage wrote, and matrices that are not whole. More is not
        looked at of what is large: hashing a matrix takes as long as the work."""
        return [name for name, sha256 in marker.outputs.items() if not self._is_whole(run.folder / name, sha256)]

    def _is_whole(self, path: Path, sha256: str) -> bool:
        from augrec.artefacts.arrays import mapped_array

        try:
            if path.suffix == ".npy":
                mapped_array(path)
                return True
            return path.suffix not in (".parquet", ".json") or self.output_hash(path) == sha256
        except (FileNotFoundError, ValueError, DataError):  # what cannot be read now may be whole, and is not removed
            return False

    def remove_marker(self, run: Run) -> None:
        """Marks the stage as not complete. Its files stay, for it takes up what is finished; what is damaged among them
        goes first, or it would be taken up as well."""
        path = self.folder(run) / MARKER
        marker = read_marker(self.folder(run))
        for name in self.damaged(run, marker) if marker else ():
            remove_file(run.folder / name)
        remove_file(path)

    def parts(self, run: Run) -> list[Path] | None:
        """The folders that belong to this config, if the stage's folder may hold others; None for the whole folder."""
        return None

    def clear(self, run: Run) -> None:
        """Deletes what this stage wrote for this config (`--force`); other files in its folder stay."""
        remove_file(self.folder(run) / MARKER)
        parts = self.parts(run)
        for part in [self.folder(run)] if parts is None else parts:
            check_inside(part / MARKER)
            shutil.rmtree(part, ignore_errors=True)

    def complete(self, run: Run, identity: dict[str, Any], details: dict[str, Any], seconds: float) -> Marker:
        """Writes the completion marker."""
        outputs = {path.relative_to(run.folder).as_posix(): self.output_hash(path) for path in self.outputs(run)}
        marker = Marker(digest(identity), identity, outputs, details)
        write_json(
            self.folder(run) / MARKER,
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
    path = folder / MARKER
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
    folder = registry.STAGES[name].folder(run)
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
        """Seconds by a clock that is never set."""
        return time.monotonic() - self._started
