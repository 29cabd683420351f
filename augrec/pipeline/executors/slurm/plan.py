"""What has to be submitted: jobs in the order of their dependencies, for what is not finished yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

from augrec.pipeline.executors.chain import stale_reason
from augrec.pipeline.executors.pieces import waves
from augrec.pipeline.executors.slurm.profile import MERGE, JobResources, Profile, asked
from augrec.pipeline.stages.base import CORE, Piece, Run, Stage
from augrec.pipeline.stages.registry import chain

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
    resources: JobResources
    array: bool
    environment: str = CORE
    """The Python environment it runs in."""


Level = list[Job]
"""Jobs that may run at the same time; the next level waits for all of them."""


def plan(run: Run, profile: Profile, max_array_size: int) -> list[Level]:
    """The levels of jobs that bring a run to its end; empty when it is finished.

    Once one stage has to run, nothing after it is taken to be finished: what it is made from may change.
    """
    levels: list[Level] = []
    unfinished: Stage | None = None  # its pieces are in the plan, and the job that finishes it is not
    for stage in chain(run.config):
        known = not levels
        if known and stale_reason(stage, run, stage.marker(run), stage.identity(run)) is None:
            continue
        profile.environment(stage.environment)  # raises where the profile does not know it
        pieces = stage.pieces(run, known=known)
        own = [level for level in _levels(run, stage, pieces, profile, max_array_size) if level]
        if unfinished is not None and (pieces or unfinished.environment != stage.environment):
            levels.append([_finishing(unfinished, profile)])
        elif unfinished is not None:
            own = [[_after(unfinished, job) for job in level] for level in own]
        levels += own
        unfinished = stage if pieces and stage.resources.merge is None else None
    return [*levels, [_finishing(unfinished, profile)]] if unfinished is not None else levels


def _levels(run: Run, stage: Stage, pieces: Sequence[Piece], profile: Profile, most: int) -> Iterator[Level]:
    if not pieces:
        yield [Job(stage.name, stage.name, [[[stage.name]]], profile.resources(stage.name), False, stage.environment)]
        return
    waiting = [piece for piece in pieces if not piece.done()]
    for wave in waves(waiting):
        suffix = f"-wave-{wave[0].wave}" if wave[0].wave else ""
        if stage.resources.array_per_group:
            groups = [(f"{stage.name}-{group}", list(mine)) for group, mine in groupby(wave, lambda piece: piece.group)]
        else:
            groups = [(stage.resources.array or f"{stage.name}-pieces", wave)]
        yield [job for name, mine in groups for job in _arrays(run, stage, f"{name}{suffix}", mine, profile, most)]
    if stage.resources.merge is not None:
        yield [_finishing(stage, profile)]


def _finishing(stage: Stage, profile: Profile) -> Job:
    """The job that finishes a stage after its pieces."""
    command = [stage.name, *(stage.resources.merge or ())]
    name = stage.resources.merge_job or stage.name
    return Job(name, stage.name, [[command]], profile.resources(MERGE), False, stage.environment)


def _after(unfinished: Stage, job: Job) -> Job:
    """The job of a stage without pieces, begun by finishing the stage before it."""
    return replace(job, tasks=[[[unfinished.name], *task] for task in job.tasks])


def _arrays(run: Run, stage: Stage, name: str, pieces: list[Piece], profile: Profile, most: int) -> Level:
    """One array, or several where the cluster's MaxArraySize is smaller; plain jobs where it has no arrays (0)."""
    attempts = ["--attempts", str(profile.attempts)]
    tasks = [
        [[stage.name, *stage.selection.words(part), *attempts]] for part in _parts(pieces, profile.per_task(stage))
    ]
    ask = asked(run, stage, pieces[0].group, profile)
    parts = list(_parts(tasks, max(1, most)))
    names = [name] if len(parts) == 1 else [f"{name}-{number}" for number in range(1, len(parts) + 1)]
    throttle = ask.throttle and max(1, ask.throttle // max(1, len(parts)))
    ask = ask.model_copy(update={"throttle": throttle})
    return [
        Job(own, stage.name, part, ask, most > 0, stage.environment) for own, part in zip(names, parts, strict=True)
    ]


def _parts(values: Sequence[T], size: int) -> Iterator[list[T]]:
    for first in range(0, len(values), size):
        yield list(values[first : first + size])


def describe(levels: list[Level]) -> Iterator[str]:
    """The plan in lines, for a person."""
    for number, level in enumerate(levels, start=1):
        for job in level:
            count = f"array of {len(job.tasks)}" if job.array else "one job"
            ask = job.resources
            parts = [
                f"{ask.gpus} GPU" if ask.gpus else "",
                f"{ask.cpus} cores, {ask.memory}, {ask.time}",
                f"at most {ask.throttle} at once" if job.array and ask.throttle else "",
            ]
            yield f"{number:>2}. {job.name:<24} {count:<14} {', '.join(part for part in parts if part)}"
