"""A cluster's profile beside a run: environments that are there, and as many GPUs as the engines need."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from augrec.pipeline.preflight.engines import Gpu, gpus_called
from augrec.pipeline.preflight.findings import Finding, refusals
from augrec.pipeline.stages import chain
from augrec.pipeline.stages.base import Run, Stage

if TYPE_CHECKING:
    from augrec.pipeline.executors.profile import Environment, Profile

ELSEWHERE = "submit from a login node of the cluster, or run without one: augrec run CONFIG --workers N"


def look_at_profile(run: Run, profile: Profile) -> Iterator[Finding]:
    """What of a profile does not fit a run: environments by their places here, and GPUs by their number."""
    named: dict[str, Environment | None] = {}
    for stage in chain(run.config):
        key = f"environments.{stage.environment} in the profile"
        lacking = refusals(key, partial(profile.environment, stage.environment))
        if lacking and stage.environment not in named:
            yield from lacking
        named.setdefault(stage.environment, None if lacking else profile.environment(stage.environment))
        yield from _look_at_gpus(run, stage, profile)
    for name, environment in named.items():
        if environment is not None:
            yield from _look_at_environment(name, environment)


def look_for_slurm() -> Iterator[Finding]:
    """Whether jobs can be handed over from here."""
    if shutil.which("sbatch") is None:
        yield Finding("problem", "sbatch is not on PATH, so nothing can be submitted from here", "submit", ELSEWHERE)


def gpus_of(profile: Profile) -> list[Gpu]:
    """What the engines of a run would run on, as far as the profile names it; empty where it does not."""
    kind = profile.resources("augment").gpu_type
    return gpus_called(kind) if kind else []


def _look_at_gpus(run: Run, stage: Stage, profile: Profile) -> Iterator[Finding]:
    """A job with fewer GPUs than its worker needs; one without any computes on its processor."""
    given = profile.resources(stage.name).gpus
    if not given:
        return
    for group in {piece.group: None for piece in stage.pieces(run, known=False)}:
        needed = stage.gpus(run, group)
        if needed and needed > given:
            what = f"a job gets {given} of the {needed} GPUs that '{group}' needs"
            yield Finding("problem", what, f"stages.{stage.name}.gpus in the profile", "leave it out, or raise it")


def _look_at_environment(name: str, environment: Environment) -> Iterator[Finding]:
    """What is not there on this machine may be there on the nodes."""
    key = f"environments.{name} in the profile"
    python = environment.venv / "bin" / "python" if environment.venv else None
    image = environment.container.image if environment.container else None
    for path in (python, image):
        if path is not None and not path.exists():
            yield Finding("caution", f"there is no {path} on this machine", key, "it has to be there on the nodes")
