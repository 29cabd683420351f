"""The commands for clusters: submit, logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from augrec.pipeline.executors.commands import ConfigPath
from augrec.pipeline.host.terminal import say, terminal

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, e.g. runs/demo.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Overrides.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    commands: tuple[Callable[..., None], ...] = (submit, logs)
    for command in commands:
        app.command()(command)


def submit(
    config: ConfigPath,
    overrides: Overrides = None,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="FILE", help="The cluster, e.g. slurm/profiles/gpu.toml.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the batch scripts; submit and write nothing.")] = (
        False
    ),
) -> None:
    """Submit what is not finished to SLURM, as a chain of jobs and arrays."""
    from augrec.pipeline.config.run_config import read_config
    from augrec.pipeline.executors.profile import read_profile
    from augrec.pipeline.executors.slurm.submit import submit as hand_over
    from augrec.pipeline.preflight.checks import begin, look_at_run
    from augrec.pipeline.preflight.cluster import look_for_slurm
    from augrec.pipeline.stages.base import Run

    cluster, run = read_profile(profile), Run(read_config(config, overrides))
    begin([*look_at_run(run, profile=cluster), *(() if dry_run else look_for_slurm())], config)
    hand_over(run, cluster, dry_run=dry_run, console=terminal())


def logs(
    run_folder: RunPath,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed: the reason, and the end of its log.")] = (
        False
    ),
) -> None:
    """List the logs of a run's jobs, or show why some failed."""
    from augrec.artefacts.run_folder import RunFolder
    from augrec.pipeline.executors.slurm.logs import all_logs, failures, tail
    from augrec.pipeline.stages.saved_run import run_at_home

    if not failed:
        logs = all_logs(run_folder)
        for path in logs:
            say(str(path))
        if not logs:
            say(f"no job of this run has a log; what this machine did is in {RunFolder(run_folder).log}")
        return
    with run_at_home(run_folder) as run:
        failed_work = failures(run)
    for entry in failed_work:
        say(f"{entry.what}: {entry.why}\n  log: {entry.log}\n{tail(entry.log)}\n")
    if not failed_work:
        print("nothing failed")
