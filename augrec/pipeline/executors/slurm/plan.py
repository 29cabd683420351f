"""What has to be submitted: jobs in the order of their dependencies, for what is not finished yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from augrec.artefacts.errors import UsageError
from augrec.pipeline.executors.chain import why_run
from augrec.pipeline.executors.ranges import format_ranges
from augrec.pipeline.executors.slurm.profile import Profile, Resources
from augrec.pipeline.executors.units import units
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run

T = TypeVar("T")
Command = list[str]
"""The words after `augrec`, the config left out: it is put after the first."""


@dataclass(frozen=True)
class Job:
    """One call of sbatch."""

    name: str
    stage: str
    tasks: list[list[Command]]
    """Per array task, the commands it runs one after the other. One task that is no array: a plain job."""
    resources: Resources
    array: bool


Level = list[Job]
"""Jobs that may run at the same time; the next level waits for all of them."""


def plan(run: Run, profile: Profile, max_array_size: int) -> list[Level]:
    """The levels of jobs that bring a run to its end; empty when it is finished.

    Once one stage has to run, nothing after it is taken to be finished: what it is made from may change.
    """
    levels: list[Level] = []
    for name, stage in STAGES.items():
        known = not levels
        if known and why_run(stage, run, stage.marker(run), stage.identity(run)) is None:
            continue
        levels += [level for level in _STAGES.get(name, _alone)(name, run, profile, max_array_size, known) if level]
    return levels


def _alone(name: str, run: Run, profile: Profile, most: int, known: bool) -> list[Level]:
    return [[Job(name, name, [[[name]]], profile.resources(name), False)]]


def _report(name: str, run: Run, profile: Profile, most: int, known: bool) -> list[Level]:
    # Nothing is left to train then; the marker of the stage is written, and the report reads it.
    return [[Job(name, name, [[["train"], [name]]], profile.resources(name), False)]]


def _augment(name: str, run: Run, profile: Profile, most: int, known: bool) -> list[Level]:
    level: Level = []
    waiting = [unit for unit in units(run, name, known=known) if not unit.done()]
    for source, shards in groupby(waiting, lambda unit: unit.group):
        tasks = [
            [[name, "--source", source, "--shards", format_ranges(unit.number for unit in part)]]
            for part in _parts(list(shards), profile.stages.augment.shards_per_task)
        ]
        asked = _with_gpus(run, source, profile)
        level += _arrays(f"{name}-{source}", name, tasks, asked, most, profile)
    return [level, [Job("merge", name, [[[name, "--merge"]]], profile.resources("merge"), False)]]


def _with_gpus(run: Run, source: str, profile: Profile) -> Resources:
    """What a source's jobs ask for: the GPUs of its engine; plain defaults for a source without a model of its own."""
    assert run.config.generation is not None
    engine: Any = run.config.generation.sources[source].engine
    if not engine.needs_gpu:
        return profile.resources(None).model_copy(update={"throttle": profile.resources("augment").throttle})
    asked = profile.resources("augment")
    needed = engine.gpus
    if asked.gpus is None:
        return asked.model_copy(update={"gpus": needed})
    if 0 < asked.gpus < needed:
        raise UsageError(
            f"source '{source}' needs {needed} GPUs (tensor_parallel x pipeline_parallel), its jobs get {asked.gpus}",
            where="stages.augment.gpus in the profile",
            remedy=f"gpus = {needed}, or leave it out",
        )
    return asked


def _embed(name: str, run: Run, profile: Profile, most: int, known: bool) -> list[Level]:
    groups = [unit.group for unit in units(run, name, known=known) if not unit.done()]
    tasks = [[[name, "--group", group]] for group in groups]
    asked = profile.resources(name)
    return [
        _arrays(f"{name}-groups", name, tasks, asked, most, profile),
        [Job(name, name, [[[name]]], profile.resources("merge"), False)],
    ]


def _train(name: str, run: Run, profile: Profile, most: int, known: bool) -> list[Level]:
    waiting = [unit for unit in units(run, name, known=known) if not unit.done()]
    tasks = [
        [[name, "--only", ",".join(unit.name for unit in part)]]
        for part in _parts(waiting, profile.stages.train.trainings_per_task)
    ]
    return [_arrays(name, name, tasks, profile.resources(name), most, profile)]


_STAGES = {"augment": _augment, "embed": _embed, "train": _train, "report": _report}


def _arrays(name: str, stage: str, tasks: list[list[Command]], asked: Resources, most: int, profile: Profile) -> Level:
    """One array, or several where the cluster's MaxArraySize is smaller; plain jobs where it has no arrays (0)."""
    limited = [[[*command, "--attempts", str(profile.attempts)] for command in task] for task in tasks]
    parts = list(_parts(limited, max(1, most)))
    names = [name] if len(parts) == 1 else [f"{name}-{number}" for number in range(1, len(parts) + 1)]
    throttle = asked.throttle and max(1, asked.throttle // max(1, len(parts)))
    asked = asked.model_copy(update={"throttle": throttle})
    return [Job(own, stage, part, asked, most > 0) for own, part in zip(names, parts, strict=True)]


def _parts(values: Sequence[T], size: int) -> Iterator[list[T]]:
    for first in range(0, len(values), size):
        yield list(values[first : first + size])


def describe(levels: list[Level]) -> Iterator[str]:
    """The plan in lines, for a person."""
    for number, level in enumerate(levels, start=1):
        for job in level:
            count = f"array of {len(job.tasks)}" if job.array else "one job"
            asked = job.resources
            parts = [
                f"{asked.gpus} GPU" if asked.gpus else "",
                f"{asked.cpus} cores, {asked.memory}, {asked.time}",
                f"at most {asked.throttle} at once" if job.array and asked.throttle else "",
            ]
            yield f"{number:>2}. {job.name:<24} {count:<14} {', '.join(part for part in parts if part)}"
