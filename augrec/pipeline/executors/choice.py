"""Who does the pieces of a run, as the command line names it: processes here, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augrec.artefacts.errors import UsageError

if TYPE_CHECKING:
    from augrec.pipeline.executors.pieces import Executor
    from augrec.pipeline.preflight.findings import Finding, Look
    from augrec.pipeline.stages.base import Run

EXECUTORS = ("local", "ray")
SLURM = "`augrec submit CONFIG --profile FILE` gives a run to SLURM, as jobs of its own"

ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="[local|ray]",
        help="Where shards and trainings run: on this machine, or on a Ray cluster.",
        autocompletion=lambda: list(EXECUTORS),
    ),
]
TaskProfile = Annotated[
    Path | None, typer.Option("--profile", metavar="FILE", help="With --executor ray: what tasks ask for, e.g. GPUs.")
]
Address = Annotated[
    str | None, typer.Option("--address", metavar="HOST:PORT", help="The Ray cluster; this machine's by default.")
]


@dataclass(frozen=True)
class Chosen:
    """An executor, and what it looks for before a run begins."""

    executor: Executor
    look: Look


@contextmanager
def chosen_executor(
    name: str, *, workers: int | None = None, address: str | None = None, profile: Path | None = None
) -> Iterator[Chosen]:
    """The executor that the options of a command name; while the block runs it can be used.

    Args:
        name: of `EXECUTORS`.
        workers: processes on this machine; for `local` alone.
        address: of the Ray cluster; for `ray` alone.
        profile: what pieces ask for; for `ray` alone.

    Raises:
        UsageError: there is none of that name, or an option is not for it; what it needs is not there.
    """
    from augrec.pipeline.preflight.checks import look_at_run

    if name not in EXECUTORS:
        remedy = SLURM if name == "slurm" else f"one of {', '.join(EXECUTORS)}"
        raise UsageError(f"there is no executor '{name}' that a command waits for", where="--executor", remedy=remedy)
    others: dict[str, Any] = {"--address": address, "--profile": profile} if name == "local" else {"--workers": workers}
    for option, value in others.items():
        if value is not None:
            raise UsageError(f"{option} is not for the executor '{name}'", where=option, remedy=_REMEDIES[option])
    if name == "local":
        from augrec.pipeline.executors.local import Local

        yield Chosen(Local(workers), look_at_run)
        return
    from augrec.pipeline.executors.profile import read_profile
    from augrec.pipeline.executors.ray.cluster import AUTO, RayCluster
    from augrec.pipeline.executors.ray.executor import OnRay
    from augrec.pipeline.executors.ray.findings import look_at_ray

    asked = read_profile(profile)
    with RayCluster(address or AUTO) as cluster:

        def look(run: Run, *, coming: Collection[Path] = ()) -> list[Finding]:
            return [*look_at_run(run, profile=asked, coming=coming), *look_at_ray(run, asked, cluster)]

        yield Chosen(OnRay(cluster, asked), look)


_REMEDIES = {
    "--address": "with --executor ray; leave it out otherwise",
    "--profile": "with --executor ray; `augrec submit` takes one for SLURM",
    "--workers": "leave it out: on a cluster as many tasks run as fit, or as the profile's `throttle` says",
}
