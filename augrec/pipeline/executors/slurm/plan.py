"""What has to be submitted: jobs in the order of their dependencies, for what is not finished yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

from augrec.pipeline.executors.chain import stale_reason
from augrec.pipeline.executors.pieces import waves
from augrec.pipeline.executors.profile import MERGE, JobResources, Profile, asked, seconds
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
    expected: float | None = None
    """Seconds that its tasks take together, by what finished pieces of the same groups took; None where none is."""

    @property
    def gpu_hours(self) -> float:
        """Of all its tasks, were each to run to its time limit once."""
        ask = self.resources
        return len(self.tasks) * (ask.gpus or 0) * seconds(ask.time or "00:00:00") / 3600

    @property
    def expected_gpu_hours(self) -> float | None:
        """Of all its tasks, as far as finished pieces say so."""
        return None if self.expected is None else (self.resources.gpus or 0) * self.expected / 3600


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
        ask = profile.resources(stage.name) if stage.has_pieces else asked(run, stage, "", profile)
        yield [Job(stage.name, stage.name, [[[stage.name]]], ask, False, stage.environment)]
        return
    waiting = [piece for piece in pieces if not piece.done()]
    for wave in waves(waiting):
        suffix = f"-wave-{wave[0].wave}" if wave[0].wave else ""
        if stage.resources.array_per_group:
            groups = [(f"{stage.name}-{group}", list(mine)) for group, mine in groupby(wave, lambda piece: piece.group)]
        else:
            groups = _by_machine(run, stage, wave, profile)
        took = _seconds_each(pieces)
        yield [
            job for name, mine in groups for job in _arrays(run, stage, f"{name}{suffix}", mine, profile, most, took)
        ]
    if stage.resources.merge is not None:
        yield [_finishing(stage, profile)]


def _by_machine(run: Run, stage: Stage, wave: list[Piece], profile: Profile) -> list[tuple[str, list[Piece]]]:
    """The pieces of an array; of two where some ask for the GPUs that the profile grants, and others need none."""
    name = stage.resources.array or f"{stage.name}-pieces"
    if not profile.resources(stage.name).gpus:
        return [(name, wave)]
    needless = {group for group in {piece.group for piece in wave} if stage.gpus(run, group) == 0}
    parts = [
        (name, [piece for piece in wave if piece.group not in needless]),
        (f"{name}-no-gpu", [piece for piece in wave if piece.group in needless]),
    ]
    return [(own, mine) for own, mine in parts if mine]


def _finishing(stage: Stage, profile: Profile) -> Job:
    """The job that finishes a stage after its pieces."""
    command = [stage.name, *(stage.resources.merge or ())]
    name = stage.resources.merge_job or stage.name
    return Job(name, stage.name, [[command]], profile.resources(MERGE), False, stage.environment)


def _after(unfinished: Stage, job: Job) -> Job:
    """The job of a stage without pieces, begun by finishing the stage before it."""
    return replace(job, tasks=[[[unfinished.name], *task] for task in job.tasks])


def _arrays(
    run: Run, stage: Stage, name: str, pieces: list[Piece], profile: Profile, most: int, took: Mapping[str, float]
) -> Level:
    """One array, or several where the cluster's MaxArraySize is smaller; plain jobs where it has no arrays (0)."""
    attempts = ["--attempts", str(profile.attempts)]
    parts = list(_parts(list(_parts(pieces, profile.per_task(stage))), max(1, most)))
    names = [name] if len(parts) == 1 else [f"{name}-{number}" for number in range(1, len(parts) + 1)]
    ask = asked(run, stage, pieces[0].group, profile)
    throttle = ask.throttle and max(1, ask.throttle // max(1, len(parts)))
    ask = ask.model_copy(update={"throttle": throttle})
    jobs = []
    for own, shares in zip(names, parts, strict=True):
        tasks = [[[stage.name, *stage.selection.words(share), *attempts]] for share in shares]
        groups = [piece.group for share in shares for piece in share]
        expected = sum(took[group] for group in groups) if took.keys() >= set(groups) else None
        jobs.append(Job(own, stage.name, tasks, ask, most > 0, stage.environment, expected))
    return jobs


def _seconds_each(pieces: Sequence[Piece]) -> dict[str, float]:
    """What a piece of a group takes, by those that are finished."""
    took: dict[str, list[float]] = {}
    for piece in pieces:
        if piece.done() and (spent := piece.attempts.state().seconds) > 0:
            took.setdefault(piece.group, []).append(spent)
    return {group: sum(times) / len(times) for group, times in took.items()}


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


def gpu_hours_in_words(levels: list[Level]) -> str:
    """What the plan takes of GPUs: by the time limits, and by what finished pieces took where there are such."""
    jobs = [job for level in levels for job in level if job.resources.gpus]
    if not jobs:
        return "GPU-hours: none"
    most = f"GPU-hours: at most {sum(job.gpu_hours for job in jobs):.1f}, were every task to run to its time limit once"
    known = [job for job in jobs if job.expected is not None]
    if not known:
        return most
    about = sum(job.expected_gpu_hours or 0.0 for job in known)
    rest = [job.name for job in jobs if job.expected is None]
    more = f"; of {', '.join(rest)} nothing is known yet" if rest else ""
    return f"{most}; about {about:.1f} by what finished pieces took{more}"
