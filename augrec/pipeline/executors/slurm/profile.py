"""A profile: what a cluster offers and what each stage may ask of it, as a small TOML file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from augrec.artefacts.errors import UsageError
from augrec.artefacts.options import Options
from augrec.pipeline.config import validated

TIME = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")
RESOURCES = ("partition", "account", "qos", "constraint", "gpus", "gpu_type", "cpus", "memory", "time", "throttle")


class Resources(Options):
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
    """GPUs per job. Left out, `augment` asks for tensor_parallel x pipeline_parallel of a vLLM source."""
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


PLAIN = Resources(cpus=2, memory="8G", time="01:00:00")


class AugmentResources(Resources):
    """Jobs that answer shards."""

    shards_per_task: PositiveInt = 1
    """Shards that one array task answers in turn. A task should run for half an hour or more: an engine takes minutes
    to start."""


class TrainResources(Resources):
    """Jobs that train."""

    trainings_per_task: PositiveInt = 5
    """Trainings that one array task runs, as many side by side as it has cores, or one by one on a GPU."""


class StageResources(Options):
    """What each stage asks for, where it differs from `defaults`."""

    prepare: Resources = Resources()
    candidates: Resources = Resources()
    augment: AugmentResources = AugmentResources()
    """Applies to sources with a model in the job; the others take `defaults`."""
    merge: Resources = Resources()
    """Merging what array tasks wrote."""
    embed: Resources = Resources()
    train: TrainResources = TrainResources()
    report: Resources = Resources()


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


class Profile(Options):
    """Where and how the stages of a run are submitted."""

    defaults: Resources = Resources()
    """What a job asks for where its stage says nothing; else 2 cores, 8G and an hour."""
    stages: StageResources = StageResources()
    modules: tuple[str, ...] = ()
    """Environment modules to load."""
    venv: Path | None = None
    """A virtual environment with augrec; null is the one that submits."""
    container: Container | None = None
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
        for stage in StageResources.model_fields:
            time = self.resources(stage).time
            if time and seconds(time) <= self.signal_before:
                raise ValueError(
                    f"stages.{stage}.time: {time} is not longer than signal_before ({self.signal_before} s)"
                )
        return self

    def resources(self, stage: str | None) -> Resources:
        """What a stage asks for, defaults filled in; the defaults alone for None."""
        own = getattr(self.stages, stage) if stage else Resources()
        chosen: dict[str, Any] = {}
        for name in RESOURCES:
            given = (getattr(resources, name) for resources in (own, self.defaults, PLAIN))
            chosen[name] = next((value for value in given if value is not None), None)
        return Resources(**chosen, extra=(*self.defaults.extra, *own.extra))


def seconds(time: str) -> int:
    """A SLURM time in seconds."""
    found = TIME.fullmatch(time)
    assert found is not None
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def read_profile(path: Path | None) -> Profile:
    """Reads a profile; the plain defaults for None.

    Raises:
        UsageError: the file is missing or wrong; every problem is named with its key.
    """
    if path is None:
        return Profile()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("the profile does not exist", where=path, remedy="slurm/profiles/ has examples") from None
    except (IsADirectoryError, UnicodeDecodeError):
        raise UsageError("the profile is not a text file", where=path) from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the profile is not valid TOML: {error}", where=path) from None
    return validated(raw, Profile, path, "profile")
