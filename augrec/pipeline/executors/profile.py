"""A profile: what a cluster offers and what each stage may ask of it, as a small TOML file."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, create_model, field_validator, model_validator

from augrec.artefacts.errors import UsageError
from augrec.artefacts.names import NamedFields
from augrec.artefacts.options import Options
from augrec.artefacts.registry import SectionsOf, rebuild
from augrec.pipeline.config.sections import validated
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import CORE, Run, Stage

TIME = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")
UNITS = "KMGT"
RESOURCES = ("partition", "account", "qos", "constraint", "gpus", "gpu_type", "cpus", "memory", "time", "throttle")

SIZE = ("cpus", "memory", "time")
"""How large a job is, wherever it runs."""


class JobResources(Options):
    """What a job asks for. What a stage leaves out is taken from `defaults`."""

    partition: str | None = None
    """The partition; null leaves it to the cluster."""
    account: str | None = None
    """Who is charged."""
    qos: str | None = None
    """The quality of service."""
    constraint: str | None = None
    """Features a node must have, e.g. "h200"."""
    gpus: int | None = Field(default=None, ge=0)
    """GPUs per job. Left out, a stage asks for what its worker needs: `augment` for tensor_parallel x pipeline_parallel
    of a vLLM source."""
    gpu_type: str | None = None
    """The kind of GPU, as the cluster calls it."""
    cpus: PositiveInt | None = None
    """Cores per job."""
    memory: str | None = Field(default=None, pattern=r"^\d+[KMGT]?$")
    """Memory per job, e.g. "32G"."""
    time: str | None = None
    """Longest time of a job, as [D-]HH:MM:SS."""
    throttle: PositiveInt | None = None
    """Most tasks of an array that run at once."""
    extra: tuple[str, ...] = ()
    """Further options of sbatch, e.g. ["--reservation=mine"]."""

    @field_validator("time")
    @classmethod
    def _time(cls, time: str | None) -> str | None:
        if time is not None and not TIME.fullmatch(time):
            raise ValueError("write it as HH:MM:SS or D-HH:MM:SS")
        return time

    @field_validator("partition", "account", "qos", "constraint", "gpu_type")
    @classmethod
    def _one_word(cls, word: str | None) -> str | None:
        if word is not None and (not word or re.search(r"[\s\"'\\]", word)):
            raise ValueError("must be a word without spaces and quotes")
        return word

    @field_validator("extra")
    @classmethod
    def _one_line(cls, extra: tuple[str, ...]) -> tuple[str, ...]:
        if any(not option.startswith("-") or "\n" in option for option in extra):
            raise ValueError('each is one option of sbatch, e.g. "--reservation=mine"')
        return extra


PLAIN = JobResources(cpus=2, memory="8G", time="01:00:00")


MERGE = "merge"
"""The section of a profile for jobs that finish a stage after its pieces."""


@cache
def resources_class(stage: Stage) -> type[JobResources]:
    """The section of a profile for the jobs of a stage: with a key for the pieces of one job, where it has such."""
    own = stage.resources
    if not own.per_task:
        return JobResources
    key: Any = (PositiveInt, Field(default=own.per_task_default, description=own.per_task_help))
    return create_model(
        f"{type(stage).__name__}Resources",
        __base__=JobResources,
        __doc__=f"Jobs that do {stage.pieces_name}.",
        **{own.per_task: key},
    )


class StageTable(Options):
    """What each stage asks for, where it differs from `defaults`: a section for each stage there is."""

    merge: JobResources = JobResources()
    """Finishing a stage after its pieces, e.g. merging what array tasks wrote."""


OF_STAGES = SectionsOf(STAGES, StageTable, resources_class)


class Container(Options):
    """An image the stages run in."""

    image: Path
    """A .sif file with augrec in it."""
    bind: tuple[str, ...] = ()
    """Folders to make visible, as SOURCE[:TARGET[:ro]]. The submission folder and the run folder are anyway."""
    runtime: Literal["apptainer", "singularity"] = "apptainer"
    """The program."""
    options: tuple[str, ...] = ()
    """Further options of `exec`; --nv is added for jobs with GPUs."""


class Environment(Options):
    """A Python environment in which some stages run."""

    venv: Path | None = None
    """A virtual environment with augrec."""
    container: Container | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Environment:
        if (self.venv is None) == (self.container is None):
            raise ValueError("venv and container: name one of them")
        return self


class Profile(Options):
    """Where and how the stages of a run are submitted."""

    defaults: JobResources = JobResources()
    """What a job asks for where its stage says nothing; else 2 cores, 8G and an hour."""
    stages: Annotated[StageTable, OF_STAGES] = Field(default_factory=OF_STAGES)
    modules: tuple[str, ...] = ()
    """Environment modules to load."""
    venv: Path | None = None
    """A virtual environment with augrec; null is the one that submits."""
    container: Container | None = None
    environments: NamedFields[Environment] = Field(default_factory=dict)
    """Where stages run that do not share augrec's own environment, by the name that the stage gives it."""
    lines: tuple[str, ...] = ()
    """Shell lines to run before anything else, e.g. ["export NCCL_DEBUG=WARN"]."""
    local_disk: str | None = None
    """A folder on the node's own disk, e.g. "$SLURM_TMPDIR": models are copied there once per node, and vLLM compiles
    there. Variables are filled in on the node."""
    max_array_size: PositiveInt | None = None
    """The cluster's MaxArraySize; null asks scontrol."""
    attempts: PositiveInt = 3
    """How often a shard or training may fail before it is given up."""
    max_requeues: int = Field(default=20, ge=0)
    """How often a job may go back into the queue, for lack of time or after a failure."""
    signal_before: int = Field(default=300, ge=90)
    """Seconds before the end of a job's time at which it is told to stop."""

    @model_validator(mode="after")
    def _fits(self) -> Profile:
        if self.venv and self.container:
            raise ValueError("venv and container: name one of them")
        for stage in type(self.stages).model_fields:
            time = self.resources(stage).time
            if time and seconds(time) <= self.signal_before:
                raise ValueError(
                    f"stages.{stage}.time: {time} is not longer than signal_before ({self.signal_before} s)"
                )
        return self

    def resources(self, stage: str | None, plain: JobResources = PLAIN) -> JobResources:
        """What a stage (or "merge") asks for, defaults filled in; the defaults alone for None.

        Args:
            stage: its name.
            plain: what is asked for where neither the stage nor the profile's defaults say anything.
        """
        own: JobResources = getattr(self.stages, stage) if stage else JobResources()
        chosen: dict[str, Any] = {}
        for name in RESOURCES:
            layers = (getattr(resources, name) for resources in (own, self.defaults, plain))
            chosen[name] = next((value for value in layers if value is not None), None)
        return JobResources(**chosen, extra=(*self.defaults.extra, *own.extra))

    def per_task(self, stage: Stage) -> int:
        """How many pieces of a stage one job does in turn."""
        key = stage.resources.per_task
        return int(getattr(getattr(self.stages, stage.name), key)) if key else 1

    def environment(self, name: str) -> Environment | None:
        """The environment of that name; None for the one that submits.

        Raises:
            UsageError: the profile does not say where an environment other than augrec's own is.
        """
        if name in self.environments:
            return self.environments[name]
        if name != CORE:
            raise UsageError(
                f"a stage of this run needs the Python environment '{name}', and the profile does not say where it is",
                where=f"environments.{name} in the profile",
                remedy=f'[environments.{name}] with venv = "FOLDER" or a container',
            )
        return Environment(venv=self.venv, container=self.container) if self.venv or self.container else None


def asked(run: Run, stage: Stage, group: str, profile: Profile, plain: JobResources = PLAIN) -> JobResources:
    """What the work on a group's pieces asks for: its GPUs; the profile's defaults for one that needs no such machine.

    Raises:
        UsageError: the profile grants fewer GPUs than the group needs.
    """
    given = profile.resources(stage.name, plain)
    sized = stage.resources.same_size or not stage.has_pieces
    if sized and not given.gpus:
        return given
    needed = stage.gpus(run, group)
    if needed is None:
        return given
    if needed == 0:
        kept = ("throttle", *(SIZE if sized else ()))
        return profile.resources(None, plain).model_copy(update={name: getattr(given, name) for name in kept})
    if given.gpus is None:
        return given.model_copy(update={"gpus": needed})
    if 0 < given.gpus < needed:
        raise UsageError(
            f"'{group}' needs {needed} GPUs (tensor_parallel x pipeline_parallel), its jobs get {given.gpus}",
            where=f"stages.{stage.name}.gpus in the profile",
            remedy=f"gpus = {needed}, or leave it out",
        )
    return given


def seconds(time: str) -> int:
    """A SLURM time in seconds."""
    match = TIME.fullmatch(time)
    assert match is not None
    days, hours, minutes, rest = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def in_bytes(memory: str) -> int:
    """What `memory` says, in bytes; without a letter it is in MiB, as SLURM reads it."""
    unit = memory[-1] if memory[-1] in UNITS else "M"
    return int(memory.rstrip(UNITS)) << 10 * (UNITS.index(unit) + 1)


def read_profile(path: Path | None) -> Profile:
    """Reads a profile; the plain defaults for None.

    Raises:
        UsageError: the file is missing or wrong; every problem is named with its key.
    """
    if path is None:
        return rebuild(Profile)()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("the profile does not exist", where=path, remedy="slurm/profiles/ has examples") from None
    except (IsADirectoryError, UnicodeDecodeError):
        raise UsageError("the profile is not a text file", where=path) from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the profile is not valid TOML: {error}", where=path) from None
    return validated(raw, rebuild(Profile), path, "profile")
